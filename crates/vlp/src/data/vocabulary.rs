//! Names of the model's output classes.

use serde::{Deserialize, Serialize};
use vlp_data::LabelSpace;

/// Names of the model's output classes, by index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredVocabulary")]
pub struct Vocabulary {
    /// Classes and attributes of detection, at least one label space: one for each class head.
    pub label_spaces: Vec<LabelSpace>,
    /// Answers to questions.
    pub answers: Vec<String>,
    /// SHA-256 of the tokenizer's vocabulary ([`vlp_text::WordPieceTokenizer::sha256`]).
    pub tokenizer_sha256: String,
}

impl Vocabulary {
    /// Names of the label spaces, for messages.
    pub(crate) fn label_space_names(&self) -> String {
        let names: Vec<&str> = (self.label_spaces.iter())
            .map(|space| space.name.as_str())
            .collect();
        names.join(", ")
    }
}

/// A vocabulary of this version or, with one label space, of an earlier one.
#[derive(Deserialize)]
#[serde(expecting = "a vocabulary")]
struct StoredVocabulary {
    label_spaces: Option<Vec<LabelSpace>>,
    labels: Option<LabelSpace>,
    #[serde(default)]
    answers: Vec<String>,
    tokenizer_sha256: String,
}

impl TryFrom<StoredVocabulary> for Vocabulary {
    type Error = &'static str;

    fn try_from(stored: StoredVocabulary) -> Result<Self, Self::Error> {
        let label_spaces = stored.label_spaces;
        let label_spaces = label_spaces.or_else(|| stored.labels.map(|labels| vec![labels]));
        match label_spaces {
            None => Err("missing field `label_spaces`"),
            Some(spaces) if spaces.is_empty() => Err("`label_spaces` is empty"),
            Some(label_spaces) => Ok(Self {
                label_spaces,
                answers: stored.answers,
                tokenizer_sha256: stored.tokenizer_sha256,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn vocabularies_of_earlier_versions_are_read() {
        let space = LabelSpace {
            name: "coco".into(),
            classes: vec!["person".into()],
            ..LabelSpace::default()
        };
        let vocabulary = Vocabulary {
            label_spaces: vec![space],
            answers: vec!["yes".into()],
            tokenizer_sha256: "ab".into(),
        };
        let written = serde_json::to_string(&vocabulary).unwrap();
        let earlier = r#"{"labels": {"name": "coco", "classes": ["person"], "attributes": []},
            "answers": ["yes"], "tokenizer_sha256": "ab"}"#;
        for text in [written.as_str(), earlier] {
            assert_eq!(
                serde_json::from_str::<Vocabulary>(text).unwrap(),
                vocabulary
            );
        }
    }
}
