//! The encoder of either system.

use burn::prelude::*;
use vlp_models::{E2eVlp, Soho};
use vlp_objectives::{
    CapturedEncoder, EncoderOutput, EncoderPasses, Inputs, ObjectiveError, ObjectiveSet, TextStates,
};
use vlp_transformer::TextBatch;

use super::any_model::AnyModel;

/// The model of either system without its heads, recorded as graphs on a GPU.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of it, and it is not moved often"
)]
pub enum AnyEncoder {
    /// E2E-VLP.
    E2eVlp(CapturedEncoder<E2eVlp>),
    /// SOHO.
    Soho(CapturedEncoder<Soho>),
}

impl AnyEncoder {
    /// Shares the weights of `model`, which is on `device` without autodiff.
    pub fn new<O: ObjectiveSet>(model: &AnyModel<O>, device: &Device) -> Self {
        match model {
            AnyModel::E2eVlp(pretrain) => {
                Self::E2eVlp(CapturedEncoder::new(&pretrain.model, device))
            }
            AnyModel::Soho(pretrain) => Self::Soho(CapturedEncoder::new(&pretrain.model, device)),
        }
    }

    /// Runs the given passes of the encoder.
    ///
    /// # Errors
    /// As [`CapturedEncoder::encode`].
    pub fn encode(
        &self,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
    ) -> Result<EncoderOutput<'_>, ObjectiveError> {
        match self {
            Self::E2eVlp(encoder) => encoder.encode(inputs, passes),
            Self::Soho(encoder) => encoder.encode(inputs, passes),
        }
    }

    /// As [`Self::encode`], with the attention weights of the joint pass.
    ///
    /// # Errors
    /// As [`CapturedEncoder::encode_with_attention`].
    pub fn encode_with_attention(
        &self,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
    ) -> Result<(EncoderOutput<'_>, Option<Tensor<3>>), ObjectiveError> {
        match self {
            Self::E2eVlp(encoder) => encoder.encode_with_attention(inputs, passes),
            Self::Soho(encoder) => encoder.encode_with_attention(inputs, passes),
        }
    }

    /// Encodes texts alone.
    pub fn encode_text(&self, text: &TextBatch) -> TextStates {
        match self {
            Self::E2eVlp(encoder) => encoder.encode_text(text),
            Self::Soho(encoder) => encoder.encode_text(text),
        }
    }
}
