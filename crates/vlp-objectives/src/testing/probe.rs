//! The model of the conformance kit.

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use vlp_ops::init_weights;
use vlp_transformer::{
    AttentionBias, Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory, TextBatch,
    TextEmbedding, TextEmbeddingConfig,
};
use vlp_vision::{DictionaryConfig, PaddedImages, QuantizedMap, VisualDictionary, resize_mask};

use super::ConformanceError;
use crate::encoder_output::{JointOutput, SharedParts, TextStates};
use crate::encoding::{EncodedPasses, ImageTokens, PassInputs};
use crate::error::ObjectiveError;
use crate::passes::EncoderPasses;
use crate::vision_language::VisionLanguage;

/// Width of the model.
pub const D_MODEL: usize = 16;
/// Codes of the model's dictionary.
pub const CODES: usize = 8;
/// Side of a patch in pixels; each patch is one image token.
const PATCH: usize = 8;
/// Longest text in tokens.
pub(super) const MAX_TEXT_LEN: usize = 24;

/// A small model with everything that objectives can read: one encoder over patches and text, and a decoder.
///
/// The dictionary only assigns codes to patches: it does not learn, and the tokens are not quantized.
#[derive(Module, Debug)]
pub struct Probe {
    patches: Linear,
    dictionary: VisualDictionary,
    text_embedding: TextEmbedding,
    encoder: Encoder,
    decoder: Decoder,
}

init_weights!(Probe {
    patches,
    dictionary,
    text_embedding,
    encoder,
    decoder
});

impl Probe {
    /// A model with random weights, without dropout.
    pub(super) fn new(vocab_size: usize, device: &Device) -> Result<Self, ConformanceError> {
        let layer = LayerConfig::detr(D_MODEL, 2, 2 * D_MODEL, 0.0);
        let text_embedding = TextEmbeddingConfig::new(vocab_size, D_MODEL)
            .with_max_positions(MAX_TEXT_LEN)
            .with_type_vocab_size(1)
            .with_dropout(0.0);
        let encoder = EncoderConfig::new(1, layer.clone());
        let decoder = DecoderConfig::new(2, layer);
        Ok(Self {
            dictionary: DictionaryConfig::new(CODES)
                .init(D_MODEL, device)
                .map_err(ConformanceError::setup)?,
            patches: LinearConfig::new(3 * PATCH * PATCH, D_MODEL).init(device),
            text_embedding: text_embedding
                .init(device)
                .map_err(ConformanceError::setup)?,
            encoder: encoder.init(device).map_err(ConformanceError::setup)?,
            decoder: decoder.init(device).map_err(ConformanceError::setup)?,
        })
    }

    fn encode_tokens(&self, states: Tensor<3>, pad_mask: Tensor<2, Bool>) -> Tensor<3> {
        let bias = AttentionBias::padding(pad_mask);
        self.encoder.forward(states, None, Some(&bias))
    }

    fn encode_joint(&self, image_tokens: &ImageTokens, inputs: &PassInputs<'_>) -> JointOutput {
        let tokens = image_tokens.tokens.clone();
        let mut image = inputs.pairing.gather_per_text(tokens.states);
        let image_mask = inputs.pairing.gather_mask_per_text(tokens.pad_mask);
        if let Some(mask) = inputs.mask.clone() {
            let shape = image.dims();
            image = image.mask_fill(mask.unsqueeze_dim::<3>(2).expand(shape), 0.0);
        }
        let image_tokens = image.dims()[1];
        let text = self.text_embedding.forward(inputs.text.ids.clone());
        let text_mask = inputs.text.pad_mask.clone();
        let states = self.encode_tokens(
            Tensor::cat(vec![image, text], 1),
            Tensor::cat(vec![image_mask.clone(), text_mask.clone()], 1),
        );
        JointOutput {
            text: TextStates {
                states: states.clone().slice(s![.., image_tokens..]),
                pad_mask: text_mask,
            },
            image: memory(states.slice(s![.., 0..image_tokens]), image_mask),
        }
    }
}

fn memory(states: Tensor<3>, pad_mask: Tensor<2, Bool>) -> Memory {
    Memory {
        pos: states.zeros_like(),
        states,
        pad_mask,
    }
}

impl VisionLanguage for Probe {
    fn parts(&self) -> SharedParts<'_> {
        SharedParts {
            text_embedding: &self.text_embedding,
            decoder: Some(&self.decoder),
            caption_decoder: None,
            dictionary: Some(&self.dictionary),
        }
    }

    fn image_tokens(
        &self,
        images: &PaddedImages,
        _texts_per_image: usize,
    ) -> Result<ImageTokens, ObjectiveError> {
        let [batch, _, height, width] = images.pixels.dims();
        let (h, w) = (height / PATCH, width / PATCH);
        let patches = images
            .pixels
            .clone()
            .reshape([batch, 3, h, PATCH, w, PATCH])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, h * w, 3 * PATCH * PATCH]);
        let tokens = self.patches.forward(patches);
        let pad_mask = resize_mask(images.pad_mask.clone(), [h, w]).reshape([batch, h * w]);
        let features = tokens.clone().reshape([batch * h * w, D_MODEL]);
        let map = QuantizedMap {
            tokens: tokens.clone(),
            quantized: tokens.clone(),
            codes: self
                .dictionary
                .nearest_codes(features)
                .reshape([batch, h * w]),
            codebook: self.dictionary.codebook(),
            features: tokens.clone(),
            grid: [h, w],
        };
        Ok(ImageTokens {
            feature_maps: vec![images.pixels.clone()],
            tokens: memory(tokens, pad_mask),
            grid: [h, w],
            quantized: Some(map),
        })
    }

    fn encode_passes(&self, image: &ImageTokens, inputs: &PassInputs<'_>) -> EncodedPasses {
        let passes = inputs.passes;
        let tokens = image.tokens.clone();
        EncodedPasses {
            joint: passes
                .contains(EncoderPasses::JOINT)
                .then(|| self.encode_joint(image, inputs)),
            image: passes.contains(EncoderPasses::IMAGE).then(|| {
                let states = self.encode_tokens(tokens.states, tokens.pad_mask.clone());
                memory(states, tokens.pad_mask)
            }),
            text: inputs.image_texts.map(|text| self.encode_text(text)),
            attention: None,
        }
    }

    fn encode_text(&self, text: &TextBatch) -> TextStates {
        let states = self.text_embedding.forward(text.ids.clone());
        TextStates {
            states: self.encode_tokens(states, text.pad_mask.clone()),
            pad_mask: text.pad_mask.clone(),
        }
    }
}
