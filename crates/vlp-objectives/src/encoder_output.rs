//! The output of a model.

use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_transformer::{Decoder, Memory, TextEmbedding};
use vlp_vision::VisualDictionary;

use crate::caption_graphs::CaptionGraphs;
use crate::codes::Codes;
use crate::error::ObjectiveError;
use crate::pairing::Pairing;
use crate::passes::EncoderPasses;
use crate::target_tensors::NamedTargetTensors;

/// Text tokens after the encoder, one row per text.
#[derive(Debug, Clone)]
pub struct TextStates {
    /// `[texts, length, d_model]`; position 0 is `[CLS]`.
    pub states: Tensor<3>,
    /// `[texts, length]`, true = padding.
    pub pad_mask: Tensor<2, Bool>,
}

impl TextStates {
    /// The `[CLS]` state of every text, `[texts, d_model]`.
    pub fn cls(&self) -> Tensor<2> {
        let [texts, _, width] = self.states.dims();
        let cls = self.states.clone().slice(s![.., 0..1]);
        cls.reshape([texts, width])
    }
}

/// Output of the joint pass, one row per text.
#[derive(Debug, Clone)]
pub struct JointOutput {
    /// Text tokens.
    pub text: TextStates,
    /// Image tokens of each text's image.
    pub image: Memory,
}

/// Modules of the model that objectives share.
#[derive(Debug, Clone, Copy)]
pub struct SharedParts<'a> {
    /// Text embedding; output heads are tied to its token embedding.
    pub text_embedding: &'a TextEmbedding,
    /// Decoder of object queries, and of captions in a model without a separate caption decoder.
    pub decoder: Option<&'a Decoder>,
    /// Separate decoder of captions.
    pub caption_decoder: Option<&'a Decoder>,
    /// Visual dictionary.
    pub dictionary: Option<&'a VisualDictionary>,
}

impl<'a> SharedParts<'a> {
    /// The token embedding, `[vocab, d_model]`.
    pub fn token_embedding(&self) -> Tensor<2> {
        self.text_embedding.token_embedding()
    }

    /// The decoder.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`], naming the objective, for a model without one.
    pub fn decoder(&self, objective: &'static str) -> Result<&'a Decoder, ObjectiveError> {
        self.decoder.ok_or(ObjectiveError::Missing {
            objective,
            what: "a decoder",
        })
    }

    /// The decoder of captions, which may be the shared one.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`], naming the objective, for a model without a decoder.
    pub fn caption_decoder(&self, objective: &'static str) -> Result<&'a Decoder, ObjectiveError> {
        match self.caption_decoder {
            Some(decoder) => Ok(decoder),
            None => self.decoder(objective),
        }
    }
}

/// The encoded batch.
///
/// It has the outputs of the passes that ran; [`Self::joint`], [`Self::image`] and [`Self::text`] panic for others. An
/// objective declares the passes it reads, and [`ObjectiveSet`](crate::ObjectiveSet) checks them before it calls the
/// objective.
#[derive(Debug)]
pub struct EncoderOutput<'a> {
    /// Stage outputs of the backbone, `[images, channels, height, width]`, finest first.
    pub feature_maps: Vec<Tensor<4>>,
    /// Rows and columns of the image tokens, which are in row-major order.
    pub grid: [usize; 2],
    /// The image of each text.
    pub pairing: Pairing,
    /// Output of the joint pass.
    pub joint: Option<JointOutput>,
    /// Image tokens of the image-only pass, one row per image.
    pub image: Option<Memory>,
    /// Output of the text-only pass, one row per image.
    pub text: Option<TextStates>,
    /// Codes of the visual dictionary, for a model that has one.
    pub codes: Option<Codes>,
    /// Modules of the model.
    pub parts: SharedParts<'a>,
    /// Recorded graphs of caption decoding, if they are kept from batch to batch.
    pub caption_graphs: Option<&'a CaptionGraphs>,
    /// Tensors of the targets by name of the objective, in training on a GPU.
    pub target_tensors: NamedTargetTensors,
    /// Outputs of all layers of the shared decoder, `[images, length, d_model]`, by name of the objective, for objectives
    /// whose inputs were decoded together.
    pub decoded: Vec<(&'static str, Vec<Tensor<3>>)>,
}

impl EncoderOutput<'_> {
    /// The values of an objective's [`target_tensors`](crate::Objective::target_tensors), which its loss must then read
    /// instead of its targets; empty if it has none.
    pub fn target_tensors(&self, objective: &'static str) -> &[Value] {
        let mut tensors = self.target_tensors.iter();
        let tensors = tensors.find(|(name, _)| *name == objective);
        tensors.map_or(&[], |(_, tensors)| &tensors.values)
    }

    /// Outputs of all layers of the shared decoder for an objective's [`decoder_input`](crate::Objective::decoder_input), if
    /// it has run already.
    pub fn decoded(&self, objective: &'static str) -> Option<&[Tensor<3>]> {
        let mut decoded = self.decoded.iter();
        let (_, layers) = decoded.find(|(name, _)| *name == objective)?;
        Some(layers)
    }

    /// Output of the joint pass.
    ///
    /// # Panics
    /// If the pass did not run.
    #[track_caller]
    pub fn joint(&self) -> &JointOutput {
        ran(&self.joint, EncoderPasses::JOINT)
    }

    /// Output of the image-only pass.
    ///
    /// # Panics
    /// If the pass did not run.
    #[track_caller]
    pub fn image(&self) -> &Memory {
        ran(&self.image, EncoderPasses::IMAGE)
    }

    /// Output of the text-only pass.
    ///
    /// # Panics
    /// If the pass did not run.
    #[track_caller]
    pub fn text(&self) -> &TextStates {
        ran(&self.text, EncoderPasses::TEXT)
    }

    /// Codes of the visual dictionary.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`], naming the objective, for a model without a dictionary.
    pub fn codes(&self, objective: &'static str) -> Result<&Codes, ObjectiveError> {
        self.codes.as_ref().ok_or(ObjectiveError::Missing {
            objective,
            what: "a visual dictionary",
        })
    }

    /// Checks that every pass of `passes` ran.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`], naming the objective and the first pass that did not.
    pub fn check(
        &self,
        objective: &'static str,
        passes: EncoderPasses,
    ) -> Result<(), ObjectiveError> {
        let missing = [
            (EncoderPasses::JOINT, self.joint.is_none(), "the joint pass"),
            (
                EncoderPasses::IMAGE,
                self.image.is_none(),
                "the image-only pass",
            ),
            (
                EncoderPasses::TEXT,
                self.text.is_none(),
                "the text-only pass",
            ),
        ]
        .into_iter()
        .find(|(pass, missing, _)| *missing && passes.contains(*pass));
        match missing {
            Some((_, _, what)) => Err(ObjectiveError::Missing { objective, what }),
            None => Ok(()),
        }
    }
}

#[track_caller]
#[allow(clippy::panic, reason = "documented: a pass that was not declared")]
fn ran<T>(output: &Option<T>, pass: EncoderPasses) -> &T {
    match output {
        Some(output) => output,
        None => panic!("{pass:?} did not run: an objective must declare it in `passes`"),
    }
}
