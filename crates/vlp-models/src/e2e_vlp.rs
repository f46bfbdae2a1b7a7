//! E2E-VLP (Xu et al., ACL 2021): grid features and word pieces through one encoder, one decoder for
//! detection and captions.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use serde::{Deserialize, Serialize};
use vlp_objectives::{Encoded, Needs, TextStates, VisionLanguage};
use vlp_transformer::{
    AttentionBias, Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory, TextBatch,
    TextEmbedding, TextEmbeddingConfig,
};
use vlp_vision::{PaddedImages, ResNet, ResNetConfig, resize_mask, sine_positions};

use crate::error::ModelError;

/// Configuration of [`E2eVlp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct E2eVlpConfig {
    /// Visual backbone.
    pub backbone: ResNetConfig,
    /// Width of the tokens; 256 in the paper. A multiple of 4 (2-D positions) and of `heads`.
    pub d_model: usize,
    /// Attention heads. The paper says 12, which does not divide 256: 8, as in DETR.
    pub heads: usize,
    /// Width of the feed-forward blocks; 1024.
    pub ffn: usize,
    /// Encoder layers; 6 (or 12) in the paper.
    pub encoder_layers: usize,
    /// Decoder layers; 6 in the paper.
    pub decoder_layers: usize,
    /// Layers of a caption decoder of its own; 0 shares the decoder with detection, as the paper does.
    pub caption_layers: usize,
    /// Dropout; 0.1 in DETR and BERT.
    pub dropout: f64,
    /// Rows of the text position table; 512 in BERT.
    pub max_positions: usize,
    /// Add a learned embedding to the image tokens, as most single-stream models do; not in the paper.
    pub modality_embedding: bool,
}

/// The model without its objectives' heads.
#[derive(Module, Debug)]
pub struct E2eVlp {
    /// ResNet trunk.
    pub backbone: ResNet,
    /// 1x1 convolution from the trunk's channels to `d_model`, as a linear layer over cells.
    pub input_proj: Linear,
    /// BERT-style text embedding; its word table is tied to the output heads.
    pub words: TextEmbedding,
    /// Learned row added to every image token, if configured.
    pub modality: Option<Param<Tensor<1>>>,
    /// Cross-modal encoder.
    pub encoder: Encoder,
    /// Decoder of object queries and captions.
    pub decoder: Decoder,
    /// Decoder of captions alone, if configured.
    pub caption_decoder: Option<Decoder>,
}

/// Image tokens before the encoder.
#[derive(Debug, Clone)]
pub struct ImageTokens {
    /// Stage maps of the backbone, finest first.
    pub maps: Vec<Tensor<4>>,
    /// Projected cells in row-major order with positions and padding.
    pub tokens: Memory,
}

impl E2eVlpConfig {
    /// Builds the model for a vocabulary of `vocab_size` word pieces.
    pub fn init(&self, vocab_size: usize, device: &Device) -> Result<E2eVlp, ModelError> {
        if !self.d_model.is_multiple_of(4) || self.d_model == 0 {
            return Err(ModelError::Config {
                key: "d_model",
                value: self.d_model.to_string(),
                hint: "2-D sine positions need a multiple of 4 (256 in the paper)".into(),
            });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ModelError::Config {
                key: "dropout",
                value: self.dropout.to_string(),
                hint: "use a probability of at least 0 and less than 1 (0.1 in DETR)".into(),
            });
        }
        if self.decoder_layers == 0 {
            return Err(ModelError::Config {
                key: "decoder_layers",
                value: "0".into(),
                hint: "use at least 1 (6 in the paper)".into(),
            });
        }
        let layer = LayerConfig::detr(self.d_model, self.heads, self.ffn, self.dropout);
        let decoder = |layers| {
            DecoderConfig {
                layers,
                layer: layer.clone(),
            }
            .init(device)
        };
        let text = TextEmbeddingConfig {
            vocab_size,
            d_model: self.d_model,
            max_len: self.max_positions,
            types: 2,
            dropout: self.dropout,
        };
        let modality = || {
            Param::from_tensor(Tensor::random(
                [self.d_model],
                Distribution::Normal(0.0, 0.02),
                device,
            ))
        };
        Ok(E2eVlp {
            backbone: self.backbone.init(device)?,
            input_proj: LinearConfig::new(self.backbone.channels(), self.d_model).init(device),
            words: text.init(device),
            modality: self.modality_embedding.then(modality),
            encoder: EncoderConfig {
                layers: self.encoder_layers,
                layer: layer.clone(),
            }
            .init(device)?,
            decoder: decoder(self.decoder_layers)?,
            caption_decoder: (self.caption_layers > 0)
                .then(|| decoder(self.caption_layers))
                .transpose()?,
        })
    }
}

impl E2eVlp {
    /// Backbone, projection and positions of a batch of pictures.
    pub fn image_tokens(&self, images: &PaddedImages) -> ImageTokens {
        let maps = self.backbone.forward(images.pixels.clone());
        let map = maps[maps.len() - 1].clone();
        let [batch, channels, h, w] = map.dims();
        let cells = map.reshape([batch, channels, h * w]).swap_dims(1, 2);
        let states = self.input_proj.forward(cells);
        let states = match &self.modality {
            Some(row) => states + row.val().unsqueeze(),
            None => states,
        };
        let pad_mask = resize_mask(images.pad_mask.clone(), [h, w]);
        let width = states.dims()[2];
        let pos = sine_positions(pad_mask.clone(), width).reshape([batch, h * w, width]);
        ImageTokens {
            maps,
            tokens: Memory {
                states,
                pos,
                pad_mask: pad_mask.reshape([batch, h * w]),
            },
        }
    }

    /// The joint sequence, image first: text has no position in attention, it is in its embedding.
    pub fn joint_tokens(&self, image: &Memory, text: &TextBatch) -> Memory {
        let embedded = self.words.forward(text.ids.clone());
        Memory {
            pos: Tensor::cat(vec![image.pos.clone(), embedded.zeros_like()], 1),
            states: Tensor::cat(vec![image.states.clone(), embedded], 1),
            pad_mask: Tensor::cat(vec![image.pad_mask.clone(), text.pad_mask.clone()], 1),
        }
    }

    /// Outputs of every encoder layer for a sequence of [`Self::image_tokens`] or [`Self::joint_tokens`].
    pub fn encode_all(&self, tokens: &Memory) -> Vec<Tensor<3>> {
        let bias = AttentionBias::padding(tokens.pad_mask.clone());
        self.encoder
            .forward_all(tokens.states.clone(), Some(tokens.pos.clone()), Some(&bias))
    }

    fn encode_last(&self, tokens: &Memory) -> Tensor<3> {
        let bias = AttentionBias::padding(tokens.pad_mask.clone());
        self.encoder
            .forward(tokens.states.clone(), Some(tokens.pos.clone()), Some(&bias))
    }
}

impl VisionLanguage for E2eVlp {
    /// One pass of the backbone, then the encoder over image and text, over the image alone, or both.
    fn encode(&self, images: &PaddedImages, text: &TextBatch, needs: Needs) -> Encoded<'_> {
        let ImageTokens { maps, tokens } = self.image_tokens(images);
        let with = |states| Memory {
            states,
            pos: tokens.pos.clone(),
            pad_mask: tokens.pad_mask.clone(),
        };
        let (mut text_states, mut joint_image) = (None, None);
        if needs.joint {
            let states = self.encode_last(&self.joint_tokens(&tokens, text));
            let cells = tokens.states.dims()[1];
            let length = states.dims()[1];
            text_states = Some(TextStates {
                states: states.clone().slice(s![.., cells..length]),
                pad_mask: text.pad_mask.clone(),
            });
            joint_image = Some(with(states.slice(s![.., 0..cells])));
        }
        Encoded {
            maps,
            text: text_states,
            joint_image,
            image: needs.image.then(|| with(self.encode_last(&tokens))),
            words: &self.words,
            decoder: Some(&self.decoder),
            caption_decoder: self.caption_decoder.as_ref(),
        }
    }
}
