//! SOHO (Huang et al., CVPR 2021): a visual dictionary over grid features, one encoder over text and visual tokens.

use burn::nn::pool::MaxPool2dConfig;
use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_objectives::{
    EncodedPasses, EncoderPasses, ImageTokens, JointOutput, ObjectiveError, PassInputs,
    SharedParts, TextStates, VisionLanguage,
};
use vlp_ops::{LayerNorm, init_weights};
use vlp_transformer::{
    AttentionBias, Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory, TextBatch,
    TextEmbedding, TextEmbeddingConfig,
};
use vlp_vision::conv::{ConvNorm, ConvSpec};
use vlp_vision::{
    PaddedImages, ResNet, ResNetConfig, VectorQuantizer, VectorQuantizerConfig, VisionError,
    resize_mask, sine_positions,
};

use crate::common::{RecomputeTarget, check_dropout, check_width};
use crate::error::ModelError;

/// Position of the 2x2 max-pool of stride 2 after the backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// No max-pool.
    None,
    /// Before the 1x1 convolution (released code).
    Before,
    /// After the 1x1 convolution (paper).
    After,
}

/// Configuration of [`Soho`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct SohoConfig {
    /// Backbone; ResNet-101 in the paper, ResNet-18 in the released code.
    pub backbone: ResNetConfig,
    /// Width of tokens and codes; 768 in BERT. A multiple of 4 (for 2-D positions) and of `n_heads`.
    pub d_model: usize,
    /// Attention heads; 12 in BERT.
    pub n_heads: usize,
    /// Inner width of the feed-forward blocks; 3072 in BERT.
    pub d_ff: usize,
    /// Encoder layers; 12 in the paper, 3 in its ablations and the released code.
    pub encoder_layers: usize,
    /// Layers of a decoder for detection and captions; 0 for none, as in SOHO.
    #[serde(default)]
    pub decoder_layers: usize,
    /// Dropout probability, in `0..1`; 0.1 in BERT.
    pub dropout: f64,
    /// Number of text position embeddings, the greatest length of a text in tokens; 512 in BERT.
    pub max_positions: usize,
    /// Max-pool `after` the convolution as in the paper, `before` it as in the released code, or `none`.
    pub pool: Pool,
    /// The visual dictionary; without one, the grid features are the visual tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantizer: Option<VectorQuantizerConfig>,
    /// Reproduce a bug of the released code, whose mask is made for a square canvas: the right part of portrait images is
    /// masked, and padding at the right of landscape images is not.
    #[serde(default)]
    pub portrait_mask_bug: bool,
    /// Layers that are recomputed in the backward pass to save memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recompute: Vec<RecomputeTarget>,
}

/// The model without the heads of its objectives.
#[derive(Module, Debug)]
pub struct Soho {
    /// ResNet backbone.
    pub backbone: ResNet,
    /// 1x1 convolution to `d_model` with its norm.
    pub input_proj: ConvNorm,
    /// Visual dictionary, if configured.
    pub quantizer: Option<VectorQuantizer>,
    /// Norm of visual tokens with positions.
    pub norm: LayerNorm,
    /// BERT's text embedding; the output head is tied to its token embedding.
    pub words: TextEmbedding,
    /// Encoder over text and visual tokens.
    pub encoder: Encoder,
    /// Decoder of object queries and captions, if configured.
    pub decoder: Option<Decoder>,
    #[module(skip)]
    config: SohoConfig,
}

init_weights!(Soho {
    backbone,
    input_proj,
    quantizer,
    norm,
    words,
    encoder,
    decoder;
    config
});

impl SohoConfig {
    /// The paper's sizes and dictionary.
    pub fn new(backbone: ResNetConfig) -> Self {
        Self {
            backbone,
            d_model: 768,
            n_heads: 12,
            d_ff: 3072,
            encoder_layers: 12,
            decoder_layers: 0,
            dropout: 0.1,
            max_positions: 512,
            pool: Pool::After,
            quantizer: Some(VectorQuantizerConfig::new(2048)),
            portrait_mask_bug: false,
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
    pub fn init(&self, vocab_size: usize, device: &Device) -> Result<Soho, ModelError> {
        check_width(self.d_model, 768)?;
        check_dropout(self.dropout)?;
        let text = TextEmbeddingConfig::new(vocab_size, self.d_model)
            .with_max_positions(self.max_positions)
            .with_dropout(self.dropout);
        let projection = ConvSpec::conv1x1(self.backbone.channels(), self.d_model, 1);
        let encoder = EncoderConfig::new(
            self.encoder_layers,
            LayerConfig::bert(self.d_model, self.n_heads, self.d_ff, self.dropout),
        );
        let decoder = DecoderConfig::new(
            self.decoder_layers,
            LayerConfig::detr(self.d_model, self.n_heads, self.d_ff, self.dropout),
        );
        Ok(Soho {
            backbone: (self.backbone.init(device)?)
                .with_recompute(self.recompute.contains(&RecomputeTarget::Backbone)),
            input_proj: projection.init(device),
            quantizer: self
                .quantizer
                .as_ref()
                .map(|quantizer| quantizer.init(self.d_model, device))
                .transpose()?,
            norm: LayerNorm::new(self.d_model, 1e-5, device),
            words: text.init(device)?,
            encoder: (encoder.init(device)?)
                .with_recompute(self.recompute.contains(&RecomputeTarget::Encoder)),
            decoder: (self.decoder_layers > 0)
                .then(|| decoder.init(device))
                .transpose()?,
            config: self.clone(),
        })
    }

    /// Pixels per visual token, along each axis.
    pub fn stride(&self) -> usize {
        self.backbone.stride() * if self.pool == Pool::None { 1 } else { 2 }
    }
}

impl Soho {
    /// The encoder's input: tokens with positions, normalized.
    ///
    /// # Shapes
    /// - `tokens`, `pos`, output: `[batch, tokens, d_model]`
    pub fn add_positions(&self, tokens: Tensor<3>, pos: Tensor<3>) -> Tensor<3> {
        self.norm.forward(tokens + pos)
    }

    /// Outputs of all encoder layers.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - `pad_mask`: `[batch, tokens]`
    /// - each output: as `x`
    pub fn encode_all(&self, x: Tensor<3>, pad_mask: Tensor<2, Bool>) -> Vec<Tensor<3>> {
        let bias = AttentionBias::padding(pad_mask);
        self.encoder.forward_all(x, None, Some(&bias))
    }

    fn encode_joint(
        &self,
        image: &ImageTokens,
        inputs: &PassInputs<'_>,
    ) -> (JointOutput, Option<Tensor<3>>) {
        let visual = &image.tokens;
        let mut tokens = inputs.pairing.gather_per_text(visual.states.clone());
        if let (Some(mask), Some(quantizer)) = (inputs.mask.clone(), &self.quantizer) {
            tokens = quantizer.mask(tokens, mask);
        }
        let pos = inputs.pairing.gather_per_text(visual.pos.clone());
        let pad_mask = inputs.pairing.gather_mask_per_text(visual.pad_mask.clone());
        let text = self.words.forward(inputs.text.ids.clone());
        let text_length = text.dims()[1];
        let x = Tensor::cat(vec![text, self.add_positions(tokens, pos.clone())], 1);
        let joint_mask = Tensor::cat(vec![inputs.text.pad_mask.clone(), pad_mask.clone()], 1);
        let bias = AttentionBias::padding(joint_mask);
        let mut attention_weights = None;
        let states = if inputs.with_attention {
            let (states, weights) = self.encoder.forward_with_attention(x, None, Some(&bias));
            let from_text =
                |weights: Tensor<3>| weights.slice(s![.., ..text_length, text_length..]);
            attention_weights = weights.map(from_text);
            states
        } else {
            self.encoder.forward(x, None, Some(&bias))
        };
        let joint = JointOutput {
            text: TextStates {
                states: states.clone().slice(s![.., ..text_length]),
                pad_mask: inputs.text.pad_mask.clone(),
            },
            image: Memory {
                states: states.slice(s![.., text_length..]),
                pos,
                pad_mask,
            },
        };
        (joint, attention_weights)
    }
}

/// The released code's mask, made for a square canvas.
fn square_canvas(pad_mask: Tensor<3, Bool>) -> Tensor<3, Bool> {
    let [n, h, w] = pad_mask.dims();
    if w >= h {
        return pad_mask.slice(s![.., .., 0..h]);
    }
    let device = pad_mask.device();
    let padding = Tensor::<3, Int>::ones([n, h, h - w], &device);
    Tensor::cat(vec![pad_mask.int(), padding], 2).greater_elem(0)
}

impl VisionLanguage for Soho {
    fn parts(&self) -> SharedParts<'_> {
        let dictionary = self.quantizer.as_ref();
        SharedParts {
            text_embedding: &self.words,
            decoder: self.decoder.as_ref(),
            caption_decoder: None,
            dictionary: dictionary.map(|quantizer| &quantizer.dictionary),
        }
    }

    /// Backbone, pool, projection, dictionary and positions.
    fn image_tokens(
        &self,
        images: &PaddedImages,
        texts_per_image: usize,
    ) -> Result<ImageTokens, ObjectiveError> {
        let feature_maps = self.backbone.forward(images.pixels.clone());
        let map = feature_maps[feature_maps.len() - 1].clone();
        let [_, _, height, width] = images.pixels.dims();
        let [_, _, rows, columns] = map.dims();
        if self.config.pool != Pool::None && (rows < 2 || columns < 2) {
            let stride = self.config.stride();
            let error = VisionError::TooSmall {
                height,
                width,
                stride,
            };
            return Err(error.into());
        }
        let pool = |x| {
            MaxPool2dConfig::new([2, 2])
                .with_strides([2, 2])
                .init()
                .forward(x)
        };
        let project = |x| self.input_proj.forward_repeated(x, texts_per_image);
        let projected = match self.config.pool {
            Pool::None => project(map),
            Pool::Before => project(pool(map)),
            Pool::After => pool(project(map)),
        };
        let [n, d, h, w] = projected.dims();
        let pixel_mask = match self.config.portrait_mask_bug {
            true => square_canvas(images.pad_mask.clone()),
            false => images.pad_mask.clone(),
        };
        let pad_mask = resize_mask(pixel_mask, [h, w]);
        let (states, quantized) = match &self.quantizer {
            Some(quantizer) => {
                let output = quantizer.forward(projected, pad_mask.clone(), texts_per_image)?;
                (output.tokens.clone(), Some(output))
            }
            None => (projected.reshape([n, d, h * w]).swap_dims(1, 2), None),
        };
        Ok(ImageTokens {
            feature_maps,
            tokens: Memory {
                states,
                pos: sine_positions(pad_mask.clone(), d).reshape([n, h * w, d]),
                pad_mask: pad_mask.reshape([n, h * w]),
            },
            grid: [h, w],
            quantized,
        })
    }

    fn encode_passes(&self, image: &ImageTokens, inputs: &PassInputs<'_>) -> EncodedPasses {
        let (joint, attention) = inputs
            .passes
            .contains(EncoderPasses::JOINT)
            .then(|| self.encode_joint(image, inputs))
            .unzip();
        let image_only = inputs.passes.contains(EncoderPasses::IMAGE).then(|| {
            let tokens = image.tokens.clone();
            let x = self.add_positions(tokens.states, tokens.pos.clone());
            let bias = AttentionBias::padding(tokens.pad_mask.clone());
            Memory {
                states: self.encoder.forward(x, None, Some(&bias)),
                ..image.tokens.clone()
            }
        });
        EncodedPasses {
            joint,
            image: image_only,
            text: inputs.image_texts.map(|text| self.encode_text(text)),
            attention: attention.flatten(),
        }
    }

    fn encode_text(&self, text: &TextBatch) -> TextStates {
        let bias = AttentionBias::padding(text.pad_mask.clone());
        let tokens = self.words.forward(text.ids.clone());
        TextStates {
            states: self.encoder.forward(tokens, None, Some(&bias)),
            pad_mask: text.pad_mask.clone(),
        }
    }
}
