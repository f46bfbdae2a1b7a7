//! What an encoder gives to the objectives.

use burn::module::ModuleDisplay;
use burn::prelude::*;
use vlp_transformer::{Decoder, Memory, TextBatch, TextEmbedding};

use crate::codes::Codes;
use crate::error::ObjectiveError;
use crate::inputs::Inputs;

/// Passes of the encoder that an objective reads; a pass nobody needs is not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Image and text together.
    pub joint: bool,
    /// The image alone: nothing of the caption can leak.
    pub image: bool,
    /// Where texts look in the joint pass, if that is run: [`Encoded::looks`].
    pub looks: bool,
}

impl Needs {
    /// The joint pass.
    pub const JOINT: Self = Self {
        joint: true,
        image: false,
        looks: false,
    };
    /// The image-only pass.
    pub const IMAGE: Self = Self {
        joint: false,
        image: true,
        looks: false,
    };

    /// What either of two needs.
    pub fn or(self, other: Self) -> Self {
        Self {
            joint: self.joint || other.joint,
            image: self.image || other.image,
            looks: self.looks || other.looks,
        }
    }
}

/// Text tokens after the joint pass, a row for each text.
#[derive(Debug, Clone)]
pub struct TextStates {
    /// `[batch, length, d_model]`; place 0 is `[CLS]`.
    pub states: Tensor<3>,
    /// `[batch, length]`, true = padding.
    pub pad_mask: Tensor<2, Bool>,
}

/// What encodes texts on their own.
pub trait TextEncoder: std::fmt::Debug {
    /// The encoder over words alone, no picture beside them.
    fn encode_text(&self, text: &TextBatch) -> TextStates;
}

/// One batch after the encoder, with the parts of the model that objectives share.
#[derive(Debug)]
pub struct Encoded<'a> {
    /// Stage maps of the backbone, finest first.
    pub maps: Vec<Tensor<4>>,
    /// Text tokens of the joint pass, a row for each text.
    pub text: Option<TextStates>,
    /// Image tokens of the joint pass, a row for each text.
    pub joint_image: Option<Memory>,
    /// Where every text token looks among the image tokens in the last layer of the joint pass, mean over heads,
    /// `[texts, length, image tokens]`, where it was asked for; `None` in a model without layers.
    pub looks: Option<Tensor<3>>,
    /// Image tokens of the image-only pass, a row for each picture.
    pub image: Option<Memory>,
    /// Rows and columns of the image tokens, which run row by row.
    pub grid: [usize; 2],
    /// Codes of the visual dictionary, in a model that has one.
    pub codes: Option<Codes<'a>>,
    /// Encodes texts without a picture.
    pub text_encoder: Option<&'a dyn TextEncoder>,
    /// Text embedding; its word table is tied to the output heads.
    pub words: &'a TextEmbedding,
    /// Decoder of object queries and captions.
    pub decoder: Option<&'a Decoder>,
    /// Decoder of captions where it is one of its own.
    pub caption_decoder: Option<&'a Decoder>,
}

impl Encoded<'_> {
    /// Text states, or an error that names the objective.
    pub fn text(&self, objective: &'static str) -> Result<&TextStates, ObjectiveError> {
        self.text.as_ref().ok_or(ObjectiveError::Missing {
            objective,
            what: "the joint pass",
        })
    }

    /// The `[CLS]` state of every text of the joint pass, `[texts, d_model]`, or an error that names the objective.
    pub fn cls(&self, objective: &'static str) -> Result<Tensor<2>, ObjectiveError> {
        let states = self.text(objective)?.states.clone();
        let [texts, _, width] = states.dims();
        Ok(states.slice(s![.., 0..1]).reshape([texts, width]))
    }

    /// Image-only memory, or an error that names the objective.
    pub fn image(&self, objective: &'static str) -> Result<&Memory, ObjectiveError> {
        self.image.as_ref().ok_or(ObjectiveError::Missing {
            objective,
            what: "the image-only pass",
        })
    }

    /// Joint image memory, or an error that names the objective.
    pub fn joint_image(&self, objective: &'static str) -> Result<&Memory, ObjectiveError> {
        self.joint_image.as_ref().ok_or(ObjectiveError::Missing {
            objective,
            what: "the joint pass",
        })
    }

    /// Codes of the dictionary, or an error that names the objective.
    pub fn codes(&self, objective: &'static str) -> Result<&Codes<'_>, ObjectiveError> {
        self.codes.as_ref().ok_or(ObjectiveError::Missing {
            objective,
            what: "a visual dictionary",
        })
    }

    /// The decoder, or an error that names the objective.
    pub fn decoder(&self, objective: &'static str) -> Result<&Decoder, ObjectiveError> {
        self.decoder.ok_or(ObjectiveError::Missing {
            objective,
            what: "a decoder",
        })
    }
}

/// A model that encodes pictures and texts for objectives.
pub trait VisionLanguage: Module + ModuleDisplay + TextEncoder {
    /// Runs the passes that `needs` asks for.
    ///
    /// # Errors
    /// [`ObjectiveError::Vision`] for pictures too small for the model's stride, or too few of them to start a
    /// dictionary from.
    fn encode(&self, inputs: &Inputs<'_>, needs: Needs) -> Result<Encoded<'_>, ObjectiveError>;
}
