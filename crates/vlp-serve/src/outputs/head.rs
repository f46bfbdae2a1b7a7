//! What models can do.

use serde::Serialize;

/// What a model can do; also the name of its route below `/v1/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// Finds objects.
    Detect,
    /// Generates captions.
    Caption,
    /// Answers questions.
    Answer,
    /// Scores how well texts describe images.
    Match,
    /// Tells whether statements about two images are true.
    Statement,
    /// Tells whether an image entails hypotheses.
    Entail,
    /// Gives attention weights of words and object queries over an image.
    Attention,
    /// Has a visual dictionary.
    Codes,
    /// Gives features of images and texts.
    Features,
    /// Finds images by texts and texts by images in an index.
    Search,
}

impl Head {
    /// The name in `/v1/models` and of the route.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Caption => "caption",
            Self::Answer => "answer",
            Self::Match => "match",
            Self::Statement => "statement",
            Self::Entail => "entail",
            Self::Attention => "attention",
            Self::Codes => "codes",
            Self::Features => "features",
            Self::Search => "search",
        }
    }
}
