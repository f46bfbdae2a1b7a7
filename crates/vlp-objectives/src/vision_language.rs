//! The trait a model implements.

use burn::module::ModuleDisplay;
use burn::prelude::*;
use vlp_ops::init::InitWeights;
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::codes::Codes;
use crate::encoder_output::{EncoderOutput, SharedParts, TextStates};
use crate::encoding::{EncodedPasses, ImageTokens, PassInputs};
use crate::error::ObjectiveError;
use crate::inputs::Inputs;
use crate::passes::EncoderPasses;

/// A model that encodes images and texts for objectives.
///
/// Without autodiff, neither [`Self::image_tokens`] nor [`Self::encode_passes`] may copy tensors to or from the CPU, so that
/// a GPU can replay both as recorded graphs ([`CapturedEncoder`](crate::CapturedEncoder)).
pub trait VisionLanguage: Module + ModuleDisplay + InitWeights + Sync + 'static {
    /// Modules that objectives share.
    fn parts(&self) -> SharedParts<'_>;

    /// Image tokens before the encoder: the backbone, and the dictionary if there is one.
    ///
    /// # Errors
    /// [`ObjectiveError::Vision`] for images too small for the model's stride, or too few of them to initialize a
    /// dictionary.
    fn image_tokens(
        &self,
        images: &PaddedImages,
        texts_per_image: usize,
    ) -> Result<ImageTokens, ObjectiveError>;

    /// Runs passes of the encoder.
    fn encode_passes(&self, image: &ImageTokens, inputs: &PassInputs<'_>) -> EncodedPasses;

    /// Encodes texts alone.
    fn encode_text(&self, text: &TextBatch) -> TextStates;

    /// Runs the backbone and the given passes. The text-only pass also needs [`Inputs::image_texts`].
    ///
    /// # Errors
    /// As [`Self::image_tokens`].
    fn encode(
        &self,
        inputs: &Inputs<'_>,
        passes: EncoderPasses,
    ) -> Result<EncoderOutput<'_>, ObjectiveError> {
        Ok(encode(self, inputs, passes, false)?.0)
    }

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
        encode(self, inputs, passes, true)
    }
}

fn encode<'a>(
    model: &'a impl VisionLanguage,
    inputs: &Inputs<'_>,
    passes: EncoderPasses,
    with_attention: bool,
) -> Result<(EncoderOutput<'a>, Option<Tensor<3>>), ObjectiveError> {
    let tokens = model.image_tokens(inputs.images, inputs.pairing.texts_per_image())?;
    let encode = |pass_inputs: &PassInputs<'_>| model.encode_passes(&tokens, pass_inputs);
    let parts = model.parts();
    Ok(assemble(
        parts,
        &tokens,
        inputs,
        passes,
        with_attention,
        encode,
    ))
}

/// Runs the encoder over image tokens, some of which are masked, and assembles the output.
pub(crate) fn assemble<'a>(
    parts: SharedParts<'a>,
    image_tokens: &ImageTokens,
    inputs: &Inputs<'_>,
    passes: EncoderPasses,
    with_attention: bool,
    encode: impl FnOnce(&PassInputs<'_>) -> EncodedPasses,
) -> (EncoderOutput<'a>, Option<Tensor<3>>) {
    let pad_mask = &image_tokens.tokens.pad_mask;
    let quantized = image_tokens.quantized.as_ref();
    let codes = quantized.map(|map| Codes::new(map, pad_mask.clone(), inputs));
    let mask = codes.as_ref().and_then(Codes::mask);
    let encoded = encode(&PassInputs {
        text: inputs.text,
        pairing: inputs.pairing,
        image_texts: (inputs.image_texts).filter(|_| passes.contains(EncoderPasses::TEXT)),
        mask: mask.filter(|_| passes.contains(EncoderPasses::JOINT)),
        passes,
        with_attention,
    });
    let output = EncoderOutput {
        feature_maps: image_tokens.feature_maps.clone(),
        grid: image_tokens.grid,
        pairing: inputs.pairing.clone(),
        joint: encoded.joint,
        image: encoded.image,
        text: encoded.text,
        codes,
        parts,
        caption_graphs: None,
        target_tensors: vec![],
        decoded: vec![],
    };
    (output, encoded.attention)
}
