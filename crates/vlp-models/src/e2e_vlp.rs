//! E2E-VLP (Xu et al., ACL 2021): one encoder over grid features and text tokens, one decoder for detection and captions.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_objectives::{
    EncodedPasses, EncoderPasses, ImageTokens, JointOutput, ObjectiveError, PassInputs,
    SharedParts, TextStates, VisionLanguage,
};
use vlp_ops::{init_weights, linear_layer};
use vlp_transformer::{
    Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory, TextBatch, TextEmbedding,
    TextEmbeddingConfig,
};
use vlp_vision::{
    PaddedImages, ResNet, ResNetConfig, VectorQuantizer, VectorQuantizerConfig, resize_mask,
    sine_positions,
};

use crate::common::{RecomputeTarget, check_dropout, check_width};
use crate::error::ModelError;
use crate::merged;

/// Configuration of [`E2eVlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct E2eVlpConfig {
    /// Backbone.
    pub backbone: ResNetConfig,
    /// Width of the tokens; 256 in the paper. A multiple of 4 (for 2-D positions) and of `n_heads`.
    pub d_model: usize,
    /// Attention heads. The paper's 12 do not divide 256; 8 as in DETR.
    pub n_heads: usize,
    /// Inner width of the feed-forward blocks; 1024 in the paper.
    pub d_ff: usize,
    /// Encoder layers; 6 (or 12) in the paper.
    pub encoder_layers: usize,
    /// Decoder layers; 6 in the paper.
    pub decoder_layers: usize,
    /// Layers of a separate caption decoder; 0 for a decoder that is shared with detection, as in the paper.
    pub caption_layers: usize,
    /// Dropout probability, in `0..1`; 0.1 in DETR and BERT.
    pub dropout: f64,
    /// Number of text position embeddings, the greatest length of a text in tokens; 512 in BERT.
    pub max_positions: usize,
    /// Add a learned embedding to the image tokens, as in most single-stream models; not in the paper.
    pub modality_embedding: bool,
    /// SOHO's visual dictionary after the projection, for masked visual modeling; not in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantizer: Option<VectorQuantizerConfig>,
    /// Layers that are recomputed in the backward pass to save memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recompute: Vec<RecomputeTarget>,
}

/// The model without the heads of its objectives.
#[derive(Module, Debug)]
pub struct E2eVlp {
    /// ResNet backbone.
    pub backbone: ResNet,
    /// Projection of grid features to `d_model`: a 1x1 convolution as a linear layer.
    pub input_proj: Linear,
    /// BERT's text embedding; output heads are tied to its token embedding.
    pub words: TextEmbedding,
    /// Visual dictionary after the projection, if configured.
    pub quantizer: Option<VectorQuantizer>,
    /// Embedding `[d_model]` added to all image tokens, if configured.
    pub modality: Option<Param<Tensor<1>>>,
    /// Cross-modal encoder.
    pub encoder: Encoder,
    /// Decoder of object queries and captions.
    pub decoder: Decoder,
    /// Separate decoder of captions, if configured.
    pub caption_decoder: Option<Decoder>,
}

init_weights!(E2eVlp {
    backbone,
    input_proj,
    words,
    quantizer,
    modality = Normal(0.02),
    encoder,
    decoder,
    caption_decoder
});

impl E2eVlpConfig {
    /// The paper's sizes with six encoder layers and eight heads.
    pub fn new(backbone: ResNetConfig) -> Self {
        Self {
            backbone,
            d_model: 256,
            n_heads: 8,
            d_ff: 1024,
            encoder_layers: 6,
            decoder_layers: 6,
            caption_layers: 0,
            dropout: 0.1,
            max_positions: 512,
            modality_embedding: false,
            quantizer: None,
            recompute: vec![],
        }
    }

    /// Builds the model for a vocabulary of `vocab_size` tokens.
    ///
    /// Its initial weights are burn's defaults, such as N(0, 1) for embeddings; [`initialize`](crate::initialize) sets the
    /// published ones.
    ///
    /// # Errors
    /// [`ModelError`] for the first invalid value.
    pub fn init(&self, vocab_size: usize, device: &Device) -> Result<E2eVlp, ModelError> {
        check_width(self.d_model, 256)?;
        check_dropout(self.dropout)?;
        if self.decoder_layers == 0 {
            return Err(ModelError::Config {
                key: "decoder_layers",
                value: "0".into(),
                hint: "use at least 1 (6 in the paper)".into(),
            });
        }
        let layer = LayerConfig::detr(self.d_model, self.n_heads, self.d_ff, self.dropout);
        let decoder = |layers| {
            let layer = layer.clone();
            DecoderConfig::new(layers, layer).init(device)
        };
        let text = TextEmbeddingConfig::new(vocab_size, self.d_model)
            .with_max_positions(self.max_positions)
            .with_dropout(self.dropout);
        let modality = || {
            let normal = Distribution::Normal(0.0, 0.02);
            Param::from_tensor(Tensor::random([self.d_model], normal, device))
        };
        let encoder = EncoderConfig::new(self.encoder_layers, layer.clone());
        Ok(E2eVlp {
            backbone: (self.backbone.init(device)?)
                .with_recompute(self.recompute.contains(&RecomputeTarget::Backbone)),
            input_proj: LinearConfig::new(self.backbone.channels(), self.d_model).init(device),
            quantizer: self
                .quantizer
                .as_ref()
                .map(|quantizer| quantizer.init(self.d_model, device))
                .transpose()?,
            words: text.init(device)?,
            modality: self.modality_embedding.then(modality),
            encoder: (encoder.init(device)?)
                .with_recompute(self.recompute.contains(&RecomputeTarget::Encoder)),
            decoder: decoder(self.decoder_layers)?,
            caption_decoder: (self.caption_layers > 0)
                .then(|| decoder(self.caption_layers))
                .transpose()?,
        })
    }
}

impl E2eVlp {
    fn add_modality(&self, states: Tensor<3>) -> Tensor<3> {
        match &self.modality {
            Some(modality) => states + modality.val().unsqueeze(),
            None => states,
        }
    }

    /// The joint sequence, image first. Text tokens have no `pos`: their positions are part of the embedding.
    pub fn joint_tokens(&self, image: &Memory, text: &TextBatch) -> Memory {
        let text = self.text_tokens(text);
        Memory {
            states: Tensor::cat(vec![image.states.clone(), text.states], 1),
            pos: Tensor::cat(vec![image.pos.clone(), text.pos], 1),
            pad_mask: Tensor::cat(vec![image.pad_mask.clone(), text.pad_mask], 1),
        }
    }

    fn text_tokens(&self, text: &TextBatch) -> Memory {
        let states = self.words.forward(text.ids.clone());
        Memory {
            pos: states.zeros_like(),
            states,
            pad_mask: text.pad_mask.clone(),
        }
    }

    /// Outputs of all encoder layers for [`Self::image_tokens`] or [`Self::joint_tokens`].
    ///
    /// # Shapes
    /// Each output has the shape of `tokens.states`.
    pub fn encode_all(&self, tokens: &Memory) -> Vec<Tensor<3>> {
        let (states, pos) = (tokens.states.clone(), tokens.pos.clone());
        self.encoder
            .forward_all(states, Some(pos), Some(&tokens.bias()))
    }

    fn encode_tokens(&self, tokens: &Memory) -> Tensor<3> {
        let (states, pos) = (tokens.states.clone(), tokens.pos.clone());
        self.encoder
            .forward(states, Some(pos), Some(&tokens.bias()))
    }

    /// The joint pass, the states of the image-only pass if both run as one, and attention weights.
    fn encode_joint(
        &self,
        image: &ImageTokens,
        inputs: &PassInputs<'_>,
    ) -> (JointOutput, Option<Tensor<3>>, Option<Tensor<3>>) {
        let mut tokens = Memory {
            states: inputs.pairing.gather_per_text(image.tokens.states.clone()),
            pos: inputs.pairing.gather_per_text(image.tokens.pos.clone()),
            pad_mask: inputs
                .pairing
                .gather_mask_per_text(image.tokens.pad_mask.clone()),
        };
        let mask = inputs.mask.clone();
        if let (Some(mask), Some(map), Some(quantizer)) = (mask, &image.quantized, &self.quantizer)
        {
            // Masked tokens keep the modality embedding.
            let states = inputs.pairing.gather_per_text(map.tokens.clone());
            tokens.states = self.add_modality(quantizer.mask(states, mask));
        }
        let joint = self.joint_tokens(&tokens, inputs.text);
        let image_length = tokens.states.dims()[1];
        let (mut attention_weights, mut image_states) = (None, None);
        let states = if merged::merges(inputs, &joint.states.device()) {
            let images = image.tokens.states.dims()[0];
            let states = self.encode_tokens(&merged::stack(joint, &image.tokens));
            let (states, image) = merged::split(states, images, image_length);
            image_states = Some(image);
            states
        } else if inputs.with_attention {
            let bias = joint.bias();
            let (states, weights) =
                self.encoder
                    .forward_with_attention(joint.states, Some(joint.pos), Some(&bias));
            let from_text =
                |weights: Tensor<3>| weights.slice(s![.., image_length.., ..image_length]);
            attention_weights = weights.map(from_text);
            states
        } else {
            self.encode_tokens(&joint)
        };
        tokens.states = states.clone().slice(s![.., ..image_length]);
        let joint = JointOutput {
            text: TextStates {
                states: states.slice(s![.., image_length..]),
                pad_mask: inputs.text.pad_mask.clone(),
            },
            image: tokens,
        };
        (joint, image_states, attention_weights)
    }
}

impl VisionLanguage for E2eVlp {
    fn parts(&self) -> SharedParts<'_> {
        let dictionary = self.quantizer.as_ref();
        SharedParts {
            text_embedding: &self.words,
            decoder: Some(&self.decoder),
            caption_decoder: self.caption_decoder.as_ref(),
            dictionary: dictionary.map(|quantizer| &quantizer.dictionary),
        }
    }

    /// Backbone, projection, dictionary, modality embedding and positions.
    fn image_tokens(
        &self,
        images: &PaddedImages,
        texts_per_image: usize,
    ) -> Result<ImageTokens, ObjectiveError> {
        let feature_maps = self.backbone.forward(images.pixels.clone());
        let map = feature_maps[feature_maps.len() - 1].clone();
        let [n, channels, h, w] = map.dims();
        let features = map.reshape([n, channels, h * w]).swap_dims(1, 2);
        let mut states = linear_layer(&self.input_proj, features);
        let pad_mask = resize_mask(images.pad_mask.clone(), [h, w]);
        let d = states.dims()[2];
        let mut quantized = None;
        if let Some(quantizer) = &self.quantizer {
            let map = states.swap_dims(1, 2).reshape([n, d, h, w]);
            let output = quantizer.forward(map, pad_mask.clone(), texts_per_image)?;
            states = output.tokens.clone();
            quantized = Some(output);
        }
        Ok(ImageTokens {
            grid: [h, w],
            feature_maps,
            tokens: Memory {
                states: self.add_modality(states),
                pos: sine_positions(pad_mask.clone(), d).reshape([n, h * w, d]),
                pad_mask: pad_mask.reshape([n, h * w]),
            },
            quantized,
        })
    }

    fn encode_passes(&self, image: &ImageTokens, inputs: &PassInputs<'_>) -> EncodedPasses {
        let mut encoded = EncodedPasses::default();
        let mut image_states = None;
        if inputs.passes.contains(EncoderPasses::JOINT) {
            let joint;
            (joint, image_states, encoded.attention) = self.encode_joint(image, inputs);
            encoded.joint = Some(joint);
        }
        if inputs.passes.contains(EncoderPasses::IMAGE) {
            encoded.image = Some(Memory {
                states: image_states.unwrap_or_else(|| self.encode_tokens(&image.tokens)),
                ..image.tokens.clone()
            });
        }
        encoded.text = inputs.image_texts.map(|text| self.encode_text(text));
        encoded
    }

    fn encode_text(&self, text: &TextBatch) -> TextStates {
        let tokens = self.text_tokens(text);
        TextStates {
            states: self.encode_tokens(&tokens),
            pad_mask: tokens.pad_mask,
        }
    }
}
