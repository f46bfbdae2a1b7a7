//! Inputs and outputs of the two stages of a model: image tokens, then the passes of the encoder.

use burn::prelude::*;
use vlp_transformer::{Memory, TextBatch};
use vlp_vision::QuantizedMap;

use crate::encoder_output::{JointOutput, TextStates};
use crate::pairing::Pairing;
use crate::passes::EncoderPasses;

/// Image tokens before the encoder.
#[derive(Debug, Clone)]
pub struct ImageTokens {
    /// Feature maps of the backbone's stages, finest first.
    pub feature_maps: Vec<Tensor<4>>,
    /// Projected (and quantized) grid features in row-major order, with positions and padding; a row for each image.
    pub tokens: Memory,
    /// Rows and columns of grid features.
    pub grid: [usize; 2],
    /// Output of the dictionary, in a model that has one.
    pub quantized: Option<QuantizedMap>,
}

/// What the passes of the encoder read in addition to [`ImageTokens`].
#[derive(Debug, Clone)]
pub struct PassInputs<'a> {
    /// Texts of the joint pass.
    pub text: &'a TextBatch,
    /// The image of each text.
    pub pairing: &'a Pairing,
    /// Texts of the text-only pass, one per image.
    pub image_texts: Option<&'a TextBatch>,
    /// Image tokens of the joint pass that are masked, `[texts, tokens]`, true = masked.
    pub mask: Option<Tensor<2, Bool>>,
    /// The passes that are run.
    pub passes: EncoderPasses,
    /// Whether the attention weights of the joint pass are returned.
    pub with_attention: bool,
}

/// Outputs of the passes that ran.
#[derive(Debug, Clone, Default)]
pub struct EncodedPasses {
    /// Output of the joint pass.
    pub joint: Option<JointOutput>,
    /// Image tokens of the image-only pass.
    pub image: Option<Memory>,
    /// Output of the text-only pass.
    pub text: Option<TextStates>,
    /// Attention weights of the last layer of the joint pass, see
    /// [`VisionLanguage::encode_with_attention`](crate::VisionLanguage::encode_with_attention).
    pub attention: Option<Tensor<3>>,
}
