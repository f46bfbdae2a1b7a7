use std::{fmt, path::Path, sync::Arc};

use tokenizers::{
    AddedToken, TokenizerImpl, decoders::wordpiece::WordPiece as PieceDecoder,
    models::wordpiece::WordPiece, normalizers::BertNormalizer,
    pre_tokenizers::bert::BertPreTokenizer, processors::bert::BertProcessing,
};

use crate::{
    Encoding, TextError,
    vocab::{BERT_UNCASED, SCENES, SPECIAL, Vocabulary},
};

type Bert =
    TokenizerImpl<WordPiece, BertNormalizer, BertPreTokenizer, BertProcessing, PieceDecoder>;

/// Ids of the five special pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Special {
    /// `[PAD]`, fills up short rows of a batch.
    pub pad: u32,
    /// `[UNK]`, a word that cannot be spelled with the vocabulary.
    pub unk: u32,
    /// `[CLS]`, first of every text.
    pub cls: u32,
    /// `[SEP]`, last of every text.
    pub sep: u32,
    /// `[MASK]`, stands for a masked piece.
    pub mask: u32,
}

impl Special {
    /// Whether `id` is one of the five.
    pub fn contains(&self, id: u32) -> bool {
        [self.pad, self.unk, self.cls, self.sep, self.mask].contains(&id)
    }
}

/// BERT's uncased tokenizer over some vocabulary: clean, lower-case, strip accents, split at spaces, punctuation and
/// Chinese characters, then greedy longest-match word pieces (BERT, Devlin et al. 2019; a word of more than 100
/// characters is `[UNK]`).
///
/// Cheap to clone, and shared freely between threads.
#[derive(Clone)]
pub struct WordPieces {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    vocabulary: Vocabulary,
    special: Special,
    bert: Bert,
}

impl WordPieces {
    /// The 30,522 pieces of `bert-base-uncased`, which come with this crate.
    pub fn bert_uncased() -> Self {
        Self::shipped("bert-base-uncased", BERT_UNCASED)
    }

    /// A small vocabulary (a few hundred pieces) with whole words for generated scenes, and letters and digits to spell
    /// any other ASCII word. `[PAD]` 0, `[UNK]` 1, `[CLS]` 2, `[SEP]` 3, `[MASK]` 4.
    pub fn scenes() -> Self {
        Self::shipped("scenes", SCENES)
    }

    #[expect(clippy::expect_used)]
    fn shipped(name: &str, text: &str) -> Self {
        // The shipped lists are constants that a test reads through this very function.
        Self::parse(name, text).expect("shipped vocabulary is well formed")
    }

    /// Reads a `vocab.txt`: UTF-8, one piece per line, its id is the line number from 0, continuations start with `##`.
    ///
    /// # Errors
    /// When the file cannot be read, has an empty or a repeated line, or lacks a special piece.
    pub fn from_vocab_file(path: impl AsRef<Path>) -> Result<Self, TextError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| TextError::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the vocabulary of a Hugging Face `tokenizer.json` of an uncased BERT.
    ///
    /// # Errors
    /// When the file cannot be read, is of another kind of tokenizer, or its ids have gaps.
    pub fn from_tokenizer_json(path: impl AsRef<Path>) -> Result<Self, TextError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let refused = |reason: String| TextError::Refused {
            name: name.clone(),
            reason,
        };
        let found = Bert::from_file(path).map_err(|e| refused(e.to_string()))?;
        let normalizer = found.get_normalizer();
        if normalizer.is_none_or(|own| !own.lowercase || own.strip_accents == Some(false)) {
            let reason = "is no uncased BERT tokenizer: it must lower the case and strip accents";
            return Err(refused(reason.into()));
        }
        let mut pieces: Vec<(u32, String)> = found
            .get_vocab(true)
            .into_iter()
            .map(|(piece, id)| (id, piece))
            .collect();
        pieces.sort_unstable();
        let gap = pieces.iter().zip(0..).find(|((id, _), at)| id != at);
        if let Some(((id, piece), at)) = gap {
            return Err(refused(format!(
                "piece {piece:?} has id {id}, {at} is missing; ids must run from 0 without gaps"
            )));
        }
        Self::build(&name, pieces.into_iter().map(|(_, piece)| piece).collect())
    }

    /// The tokenizer as a Hugging Face `tokenizer.json`; the same vocabulary gives the same text.
    ///
    /// # Errors
    /// When the tokenizer library cannot write it.
    pub fn to_tokenizer_json(&self) -> Result<String, TextError> {
        let refused = |reason: String| TextError::Refused {
            name: self.inner.name.clone(),
            reason,
        };
        let Special { cls, sep, .. } = self.inner.special;
        let mut whole = self.inner.bert.clone();
        whole.with_post_processor(Some(BertProcessing::new(
            (SPECIAL[3].into(), sep),
            (SPECIAL[2].into(), cls),
        )));
        whole.with_decoder(Some(PieceDecoder::default()));
        whole.to_string(true).map_err(|e| refused(e.to_string()))
    }

    /// A vocabulary from pieces in id order; the five special pieces must be among them.
    ///
    /// # Errors
    /// When a piece is empty or repeated, or a special piece is missing.
    pub fn from_words<W: Into<String>>(
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, TextError> {
        Self::build("given words", words.into_iter().map(Into::into).collect())
    }

    fn parse(name: &str, text: &str) -> Result<Self, TextError> {
        Self::build(name, text.lines().map(str::to_owned).collect())
    }

    fn build(name: &str, pieces: Vec<String>) -> Result<Self, TextError> {
        let vocabulary = Vocabulary::new(name, pieces)?;
        let refused = |reason: tokenizers::Error| TextError::Refused {
            name: name.into(),
            reason: reason.to_string(),
        };
        // An empty one: the library's map type has no public name.
        let mut ids = WordPiece::read_bytes(b"").map_err(refused)?;
        ids.extend(
            vocabulary
                .ids
                .iter()
                .map(|(piece, &id)| (piece.clone(), id)),
        );
        let model = WordPiece::builder()
            .vocab(ids)
            .unk_token("[UNK]".into())
            .build()
            .map_err(refused)?;
        let mut bert = Bert::new(model);
        bert.with_normalizer(Some(BertNormalizer::new(true, true, Some(true), true)))
            .map_err(refused)?;
        bert.with_pre_tokenizer(Some(BertPreTokenizer));
        // A special piece written out in a text stays that piece, as with Hugging Face's tokenizer.
        bert.add_special_tokens(SPECIAL.map(|piece| AddedToken::from(piece, true)))
            .map_err(refused)?;
        let [pad, unk, cls, sep, mask] = vocabulary.special;
        let special = Special {
            pad,
            unk,
            cls,
            sep,
            mask,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.into(),
                vocabulary,
                special,
                bert,
            }),
        })
    }

    /// Pieces of `text` between `[CLS]` and `[SEP]`, at most `max_len` with both; what is too long is cut at the end,
    /// `[SEP]` stays. An empty text is `[CLS] [SEP]`, and a `max_len` below 2 counts as 2.
    pub fn encode(&self, text: &str, max_len: usize) -> Encoding {
        let Special {
            pad,
            cls,
            sep,
            mask,
            ..
        } = self.inner.special;
        #[expect(clippy::expect_used)]
        // The model fails only where [UNK] is missing, which `build` has ruled out.
        let whole = self
            .inner
            .bert
            .encode(text, false)
            .expect("the vocabulary has [UNK]");
        let room = max_len.max(2) - 2;
        let kept = whole.get_ids().len().min(room);
        let mut ids = Vec::with_capacity(kept + 2);
        let mut word_of = Vec::with_capacity(kept + 2);
        ids.push(cls);
        word_of.push(None);
        let (mut count, mut last) = (0, None);
        for (&id, &word) in whole.get_ids().iter().zip(whole.get_word_ids()).take(kept) {
            let plain = ![pad, cls, sep, mask].contains(&id);
            if plain && (last.is_none() || word != last) {
                count += 1;
            }
            last = if plain { word } else { None };
            ids.push(id);
            word_of.push(plain.then(|| count - 1));
        }
        ids.push(sep);
        word_of.push(None);
        Encoding {
            ids,
            word_of,
            truncated: kept < whole.get_ids().len(),
        }
    }

    /// Words of `ids` joined by single spaces, `##` continuations glued to their word. Special pieces (also `[UNK]`, as
    /// Hugging Face's `skip_special_tokens` does) and ids outside the vocabulary are left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        for &id in ids {
            if self.inner.special.contains(id) {
                continue;
            }
            match self
                .piece(id)
                .map(|piece| (piece, piece.strip_prefix("##")))
            {
                Some((_, Some(rest))) if !rest.is_empty() => text.push_str(rest),
                Some((piece, _)) => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(piece);
                }
                None => {}
            }
        }
        text
    }

    /// Ids of the special pieces.
    pub fn special(&self) -> Special {
        self.inner.special
    }

    /// Number of pieces; ids are below it.
    pub fn vocab_size(&self) -> usize {
        self.inner.vocabulary.pieces.len()
    }

    /// The piece of an id, `None` outside the vocabulary.
    pub fn piece(&self, id: u32) -> Option<&str> {
        self.inner
            .vocabulary
            .pieces
            .get(id as usize)
            .map(String::as_str)
    }

    /// The id of an exact piece.
    pub fn id(&self, piece: &str) -> Option<u32> {
        self.inner.vocabulary.ids.get(piece).copied()
    }

    /// All pieces in id order, as [`from_words`](Self::from_words) takes them: to store beside a model.
    pub fn pieces(&self) -> &[String] {
        &self.inner.vocabulary.pieces
    }

    /// The vocabulary's name or file, for messages.
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

impl fmt::Debug for WordPieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordPieces")
            .field("name", &self.inner.name)
            .field("vocab_size", &self.vocab_size())
            .finish()
    }
}
