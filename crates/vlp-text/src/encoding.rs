use std::ops::Range;

/// Token ids of one text, `[CLS]` first and `[SEP]` last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Ids in `0..vocab_size`; between 2 and `max_len` of them.
    pub ids: Vec<u32>,
    /// For each token, the index of its word (0, 1, ... without gaps); `None` for `[CLS]`, `[SEP]`, `[PAD]` and
    /// `[MASK]`. Whole-word masking masks all tokens of a word together.
    pub word_ids: Vec<Option<u32>>,
    /// Whether the text was cut to fit `max_len`.
    pub truncated: bool,
}

impl Encoding {
    /// Number of tokens, special tokens included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Always false for an encoding returned by [`WordPieceTokenizer::encode`](crate::WordPieceTokenizer::encode).
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Token positions of each word, in order.
    pub fn word_ranges(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut previous = None;
        for (position, word) in self.word_ids.iter().enumerate() {
            match (word, ranges.last_mut()) {
                (Some(_), Some(range)) if *word == previous => range.end = position + 1,
                (Some(_), _) => ranges.push(position..position + 1),
                (None, _) => {}
            }
            previous = *word;
        }
        ranges
    }
}
