use std::{fmt, path::Path, sync::Arc};

use sha2::{Digest, Sha256};
use tokenizers::{
    AddedToken, TokenizerImpl, decoders::wordpiece::WordPiece as WordPieceDecoder,
    models::wordpiece::WordPiece, normalizers::BertNormalizer,
    pre_tokenizers::bert::BertPreTokenizer, processors::bert::BertProcessing,
};

use crate::{
    Encoding, TextError,
    vocab::{BERT_UNCASED, SCENES, SPECIAL_TOKENS, Vocabulary},
};

/// Longer words become `[UNK]`.
const MAX_WORD_CHARS: usize = 100;

type BertTokenizer =
    TokenizerImpl<WordPiece, BertNormalizer, BertPreTokenizer, BertProcessing, WordPieceDecoder>;

/// Ids of the five special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpecialTokens {
    /// `[PAD]`, which pads the shorter texts of a batch.
    pub pad: u32,
    /// `[UNK]`, for a word that the vocabulary cannot spell.
    pub unk: u32,
    /// `[CLS]`, the first token of every text.
    pub cls: u32,
    /// `[SEP]`, the last token of every text.
    pub sep: u32,
    /// `[MASK]`, which replaces masked tokens.
    pub mask: u32,
}

impl SpecialTokens {
    /// Whether `id` is one of the five.
    pub fn contains(&self, id: u32) -> bool {
        [self.pad, self.unk, self.cls, self.sep, self.mask].contains(&id)
    }
}

/// BERT's uncased WordPiece tokenizer: cleans the text, lower-cases it, strips accents, splits at whitespace,
/// punctuation and Chinese characters, then spells each word by greedy longest match (Devlin et al. 2019). A word of
/// more than 100 characters becomes `[UNK]`.
///
/// Cheap to clone; clones share the vocabulary.
#[derive(Clone)]
pub struct WordPieceTokenizer {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    vocabulary: Vocabulary,
    special_tokens: SpecialTokens,
    bert: BertTokenizer,
}

impl WordPieceTokenizer {
    /// The 30,522 tokens of `bert-base-uncased`, which are embedded in this crate.
    pub fn bert_uncased() -> Self {
        Self::embedded("bert-base-uncased", BERT_UNCASED)
    }

    /// A vocabulary of a few hundred tokens: whole words for generated scenes, and letters and digits to spell any
    /// other ASCII word. `[PAD]` 0, `[UNK]` 1, `[CLS]` 2, `[SEP]` 3, `[MASK]` 4.
    pub fn scenes() -> Self {
        Self::embedded("scenes", SCENES)
    }

    #[expect(clippy::expect_used)]
    fn embedded(name: &str, text: &str) -> Self {
        // Both texts are constants; tests load them through this function.
        Self::parse(name, text).expect("the embedded vocabulary is valid")
    }

    /// Reads a `vocab.txt` in UTF-8: one token per line, whose id is the line number from 0; continuations start with
    /// `##`.
    ///
    /// # Errors
    /// If the file cannot be read, has an empty or duplicate line, or lacks a special token.
    pub fn from_vocab_file(path: impl AsRef<Path>) -> Result<Self, TextError> {
        let path = path.as_ref();
        let text = read_text(path)?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads the vocabulary from the Hugging Face `tokenizer.json` of an uncased BERT.
    ///
    /// # Errors
    /// If the file cannot be read, holds another kind of tokenizer, or its ids have gaps.
    pub fn from_tokenizer_json(path: impl AsRef<Path>) -> Result<Self, TextError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let invalid = |reason: String| TextError::Invalid {
            name: name.clone(),
            reason,
        };
        let text = read_text(path)?;
        let bert = text.parse::<BertTokenizer>();
        let bert = bert.map_err(|e| invalid(e.to_string()))?;
        if let Some(difference) = unsupported_setting(&bert) {
            return Err(invalid(format!(
                "not an uncased BERT tokenizer: {difference}"
            )));
        }
        let mut tokens: Vec<(u32, String)> = bert
            .get_vocab(true)
            .into_iter()
            .map(|(token, id)| (id, token))
            .collect();
        tokens.sort_unstable();
        let gap = tokens.iter().zip(0..).find(|((id, _), index)| id != index);
        if let Some(((id, token), index)) = gap {
            return Err(invalid(format!(
                "token {token:?} has id {id}, {index} is missing; ids must run from 0 without gaps"
            )));
        }
        Self::build(&name, tokens.into_iter().map(|(_, token)| token).collect())
    }

    /// The tokenizer as a Hugging Face `tokenizer.json`. Equal vocabularies give equal text.
    ///
    /// # Errors
    /// If the `tokenizers` library cannot serialize it.
    pub fn to_tokenizer_json(&self) -> Result<String, TextError> {
        let SpecialTokens { cls, sep, .. } = self.inner.special_tokens;
        let mut bert = self.inner.bert.clone();
        bert.with_post_processor(Some(BertProcessing::new(
            ("[SEP]".into(), sep),
            ("[CLS]".into(), cls),
        )));
        bert.with_decoder(Some(WordPieceDecoder::default()));
        bert.to_string(true).map_err(|e| TextError::Invalid {
            name: self.inner.name.clone(),
            reason: e.to_string(),
        })
    }

    /// SHA-256 of the tokens in id order, in hexadecimal: equal for two tokenizers that give every text the same ids,
    /// whatever file they were read from.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        for token in self.tokens() {
            // A token may contain any character, so its length separates it from the next.
            hasher.update((token.len() as u64).to_le_bytes());
            hasher.update(token);
        }
        let digest = hasher.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Builds a vocabulary from tokens in id order, which must include the five special tokens.
    ///
    /// # Errors
    /// If a token is empty or repeated, or a special token is missing.
    pub fn from_tokens<T: Into<String>>(
        tokens: impl IntoIterator<Item = T>,
    ) -> Result<Self, TextError> {
        Self::build("token list", tokens.into_iter().map(Into::into).collect())
    }

    fn parse(name: &str, text: &str) -> Result<Self, TextError> {
        Self::build(name, text.lines().map(str::to_owned).collect())
    }

    fn build(name: &str, tokens: Vec<String>) -> Result<Self, TextError> {
        let vocabulary = Vocabulary::new(name, tokens)?;
        let invalid = |reason: tokenizers::Error| TextError::Invalid {
            name: name.into(),
            reason: reason.to_string(),
        };
        // Reading no bytes gives an empty map; the library does not export the map's type.
        let mut ids = WordPiece::read_bytes(b"").map_err(invalid)?;
        ids.extend(
            vocabulary
                .ids
                .iter()
                .map(|(token, &id)| (token.clone(), id)),
        );
        let model = WordPiece::builder()
            .vocab(ids)
            .unk_token("[UNK]".into())
            .build()
            .map_err(invalid)?;
        let mut bert = BertTokenizer::new(model);
        bert.with_normalizer(Some(BertNormalizer::new(true, true, Some(true), true)))
            .map_err(invalid)?;
        bert.with_pre_tokenizer(Some(BertPreTokenizer));
        // A special token spelled out in a text keeps its id, as in Hugging Face's tokenizer.
        bert.add_special_tokens(SPECIAL_TOKENS.map(|token| AddedToken::from(token, true)))
            .map_err(invalid)?;
        let [pad, unk, cls, sep, mask] = vocabulary.special_ids;
        let special_tokens = SpecialTokens {
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
                special_tokens,
                bert,
            }),
        })
    }

    /// Tokens of `text` between `[CLS]` and `[SEP]`, at most `max_len` including both. A longer text is cut at the
    /// end, before `[SEP]`. An empty text gives `[CLS] [SEP]`; a `max_len` below 2 is treated as 2.
    pub fn encode(&self, text: &str, max_len: usize) -> Encoding {
        let SpecialTokens {
            pad,
            cls,
            sep,
            mask,
            ..
        } = self.inner.special_tokens;
        #[expect(clippy::expect_used)]
        // The model fails only without [UNK], and `build` requires it.
        let encoding = self
            .inner
            .bert
            .encode(text, false)
            .expect("the vocabulary has [UNK]");
        let (all_ids, all_words) = (encoding.get_ids(), encoding.get_word_ids());
        let count = all_ids.len().min(max_len.max(2) - 2);
        let mut ids = Vec::with_capacity(count + 2);
        let mut word_ids = Vec::with_capacity(count + 2);
        ids.push(cls);
        word_ids.push(None);
        let (mut words, mut previous) = (0, None);
        for (&id, &word) in all_ids.iter().zip(all_words).take(count) {
            let in_word = ![pad, cls, sep, mask].contains(&id);
            if in_word && (previous.is_none() || word != previous) {
                words += 1;
            }
            previous = if in_word { word } else { None };
            ids.push(id);
            word_ids.push(in_word.then(|| words - 1));
        }
        ids.push(sep);
        word_ids.push(None);
        Encoding {
            ids,
            word_ids,
            truncated: count < all_ids.len(),
        }
    }

    /// Words of `ids` joined by single spaces, with `##` continuations appended to their word, and without the spaces of
    /// BERT's words before punctuation and around apostrophes: `a dog's ball.`, not `a dog ' s ball .`, as with Hugging
    /// Face's `clean_up_tokenization`. Special tokens (including `[UNK]`, as with its `skip_special_tokens`) and ids outside
    /// the vocabulary are skipped.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        for &id in ids {
            if self.inner.special_tokens.contains(id) {
                continue;
            }
            match self
                .token(id)
                .map(|token| (token, token.strip_prefix("##")))
            {
                Some((_, Some(rest))) if !rest.is_empty() => text.push_str(rest),
                Some((token, _)) => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(token);
                }
                None => {}
            }
        }
        without_word_spaces(text)
    }

    /// Ids of the special tokens.
    pub fn special_tokens(&self) -> SpecialTokens {
        self.inner.special_tokens
    }

    /// Number of tokens; every id is below it.
    pub fn vocab_size(&self) -> usize {
        self.inner.vocabulary.tokens.len()
    }

    /// The token of an id, `None` outside the vocabulary.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.inner
            .vocabulary
            .tokens
            .get(id as usize)
            .map(String::as_str)
    }

    /// The id of a token, `None` outside the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.vocabulary.ids.get(token).copied()
    }

    /// All tokens in id order. Save them with a model and restore them by [`from_tokens`](Self::from_tokens).
    pub fn tokens(&self) -> &[String] {
        &self.inner.vocabulary.tokens
    }

    /// The vocabulary's name or file, for messages.
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

/// Replacements of Hugging Face's `clean_up_tokenization`, in its order. (`cleanup` of the library `tokenizers` has another
/// one, of the words `do not`.)
const SPACES: [(&str, &str); 10] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

fn without_word_spaces(text: String) -> String {
    let replace = |text: String, (spaced, joined)| match text.contains(spaced) {
        true => text.replace(spaced, joined),
        false => text,
    };
    SPACES.into_iter().fold(text, replace)
}

/// The text of a file, without the byte order mark with which some editors begin a UTF-8 file.
fn read_text(path: &Path) -> Result<String, TextError> {
    let text = std::fs::read_to_string(path).map_err(|source| TextError::Read {
        path: path.into(),
        source,
    })?;
    let unmarked = text.strip_prefix('\u{feff}').map(str::to_owned);
    Ok(unmarked.unwrap_or(text))
}

/// The first difference between how `bert` and [`WordPieceTokenizer`] split texts; `None` if there is none.
fn unsupported_setting(bert: &BertTokenizer) -> Option<String> {
    let model = bert.get_model();
    let normalizer = bert.get_normalizer();
    let uncased = |n: &BertNormalizer| n.lowercase && n.strip_accents != Some(false);
    let cleans = |n: &BertNormalizer| n.clean_text && n.handle_chinese_chars;
    if !normalizer.is_some_and(uncased) {
        return Some("it must lower-case and strip accents".into());
    }
    if !normalizer.is_some_and(cleans) {
        return Some("it must clean the text and split Chinese characters".into());
    }
    if bert.get_pre_tokenizer().is_none() {
        return Some("it must split texts with BertPreTokenizer".into());
    }
    for (name, actual, expected) in [
        ("unk_token", &model.unk_token, "[UNK]"),
        (
            "continuing_subword_prefix",
            &model.continuing_subword_prefix,
            "##",
        ),
    ] {
        if actual != expected {
            return Some(format!("{name} is {actual:?}, expected {expected:?}"));
        }
    }
    let limit = model.max_input_chars_per_word;
    if limit != MAX_WORD_CHARS {
        return Some(format!(
            "max_input_chars_per_word is {limit}, expected {MAX_WORD_CHARS}"
        ));
    }
    let added = bert.get_added_vocabulary().get_vocab().keys();
    let mut added: Vec<_> = added
        .filter(|token| !SPECIAL_TOKENS.contains(&token.as_str()))
        .collect();
    added.sort();
    let token = added.first()?;
    Some(format!("the added token {token:?} is not supported"))
}

impl fmt::Debug for WordPieceTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WordPieceTokenizer")
            .field("name", &self.inner.name)
            .field("vocab_size", &self.vocab_size())
            .finish()
    }
}
