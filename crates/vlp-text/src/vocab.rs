use std::collections::HashMap;

use crate::TextError;

/// The five special tokens, in the order of the fields of `SpecialTokens`.
pub(crate) const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The vocabulary of `bert-base-uncased`: one token per line, its id is the line number from 0.
pub(crate) const BERT_UNCASED: &str = include_str!("../vocab/bert-base-uncased.txt");

/// Words of the generated scenes' texts, then letters and digits.
pub(crate) const SCENES: &str = include_str!("../vocab/scenes.txt");

/// A validated list of tokens: none empty, no duplicates, all special tokens present.
pub(crate) struct Vocabulary {
    pub(crate) tokens: Vec<String>,
    pub(crate) ids: HashMap<String, u32>,
    /// Ids of [`SPECIAL_TOKENS`].
    pub(crate) special_ids: [u32; 5],
}

impl Vocabulary {
    pub(crate) fn new(name: &str, tokens: Vec<String>) -> Result<Self, TextError> {
        let mut ids = HashMap::with_capacity(tokens.len());
        for (id, token) in tokens.iter().enumerate() {
            if token.is_empty() {
                return Err(TextError::EmptyLine {
                    name: name.into(),
                    line: id + 1,
                });
            }
            if let Some(first) = ids.insert(token.clone(), id as u32) {
                return Err(TextError::DuplicateToken {
                    name: name.into(),
                    line: id + 1,
                    first_line: first as usize + 1,
                    token: token.clone(),
                });
            }
        }
        let mut special_ids = [0; 5];
        for (id, token) in special_ids.iter_mut().zip(SPECIAL_TOKENS) {
            *id = *ids.get(token).ok_or(TextError::MissingSpecialToken {
                name: name.into(),
                token,
            })?;
        }
        Ok(Self {
            tokens,
            ids,
            special_ids,
        })
    }
}
