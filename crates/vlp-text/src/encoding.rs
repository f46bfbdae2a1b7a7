/// A text as word pieces, `[CLS]` first and `[SEP]` last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Ids in `0..vocab_size`; length between 2 and the `max_len` asked for.
    pub ids: Vec<u32>,
    /// For each id the number of the word it belongs to (0, 1, ... without gaps), `None` for the special pieces
    /// `[CLS]`, `[SEP]`, `[PAD]` and `[MASK]`. Pieces of one word are masked together by whole-word masking.
    pub word_of: Vec<Option<u32>>,
    /// Whether pieces were cut off to keep to `max_len`.
    pub truncated: bool,
}

impl Encoding {
    /// Number of pieces, the special ones included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Always false for an encoding made by [`WordPieces::encode`](crate::WordPieces::encode).
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The positions of each word's pieces, in order.
    pub fn words(&self) -> Vec<std::ops::Range<usize>> {
        let mut words: Vec<std::ops::Range<usize>> = Vec::new();
        let mut last = None;
        for (at, word) in self.word_of.iter().enumerate() {
            match (word, words.last_mut()) {
                (Some(_), Some(open)) if *word == last => open.end = at + 1,
                (Some(_), _) => words.push(at..at + 1),
                (None, _) => {}
            }
            last = *word;
        }
        words
    }
}
