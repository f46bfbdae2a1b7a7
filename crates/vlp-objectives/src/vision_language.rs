//! The trait a model implements.

use burn::module::ModuleDisplay;
use burn::prelude::*;
use vlp_ops::init::InitWeights;
use vlp_transformer::TextBatch;

use crate::encoder_output::{EncoderOutput, TextStates};
use crate::error::ObjectiveError;
use crate::inputs::Inputs;
use crate::passes::EncoderPasses;

/// A model that encodes images and texts for objectives.
pub trait VisionLanguage: Module + ModuleDisplay + InitWeights {
    /// Runs the backbone and the given passes. The text-only pass also needs [`Inputs::image_texts`].
    ///
    /// # Errors
    /// [`ObjectiveError::Vision`] for images too small for the model's stride, or too few of them to initialize a
    /// dictionary.
    fn encode(
        &self,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
    ) -> Result<EncoderOutput<'_>, ObjectiveError>;

    /// Encodes texts alone.
    fn encode_text(&self, text: &TextBatch) -> TextStates;

    /// As [`Self::encode`], with the attention weights of the last layer of the joint pass: from every text token to
    /// every image token, mean over heads, `[texts, length, image tokens]`. `None` without a joint pass, and for a
    /// model that has no such weights.
    ///
    /// # Errors
    /// As [`Self::encode`].
    fn encode_with_attention(
        &self,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
    ) -> Result<(EncoderOutput<'_>, Option<Tensor<3>>), ObjectiveError> {
        Ok((self.encode(inputs, passes)?, None))
    }
}
