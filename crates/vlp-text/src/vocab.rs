use std::collections::HashMap;

use crate::TextError;

/// Names of the five special pieces, in the order of the `Special` fields.
pub(crate) const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The real `bert-base-uncased` list: one piece per line, its id is the line number from 0.
pub(crate) const BERT_UNCASED: &str = include_str!("../vocab/bert-base-uncased.txt");

/// The words that generated scenes are described with, then letters and digits.
pub(crate) const SCENES: &str = include_str!("../vocab/scenes.txt");

/// A checked list of pieces: no empty one, none twice, all special ones there.
pub(crate) struct Vocabulary {
    pub(crate) pieces: Vec<String>,
    pub(crate) ids: HashMap<String, u32>,
    /// Ids of [`SPECIAL`].
    pub(crate) special: [u32; 5],
}

impl Vocabulary {
    pub(crate) fn new(name: &str, pieces: Vec<String>) -> Result<Self, TextError> {
        let mut ids = HashMap::with_capacity(pieces.len());
        for (id, piece) in pieces.iter().enumerate() {
            if piece.is_empty() {
                return Err(TextError::Empty {
                    name: name.into(),
                    line: id + 1,
                });
            }
            if let Some(first) = ids.insert(piece.clone(), id as u32) {
                return Err(TextError::Repeated {
                    name: name.into(),
                    line: id + 1,
                    first: first as usize + 1,
                    piece: piece.clone(),
                });
            }
        }
        let mut special = [0; 5];
        for (slot, piece) in special.iter_mut().zip(SPECIAL) {
            *slot = *ids.get(piece).ok_or(TextError::MissingSpecial {
                name: name.into(),
                piece,
            })?;
        }
        Ok(Self {
            pieces,
            ids,
            special,
        })
    }
}
