//! E2E-VLP (Xu et al., ACL 2021): grid features and word pieces through one encoder, one decoder for
//! detection and captions.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use serde::{Deserialize, Serialize};
use vlp_objectives::{
    Encoded, Inputs, Needs, ObjectiveError, TextEncoder, TextStates, VisionLanguage,
};
use vlp_ops::apply;
use vlp_transformer::{
    AttentionBias, Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory, TextBatch,
    TextEmbedding, TextEmbeddingConfig,
};
use vlp_vision::{
    PaddedImages, QuantisedMap, Quantiser, QuantiserConfig, ResNet, ResNetConfig, VisionError,
    resize_mask, sine_positions,
};

use crate::error::ModelError;
use crate::parts::{Part, beside_texts, check_dropout, check_width, read_codes};

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
    /// SOHO's visual dictionary after the projection, for masked visual modelling; not in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiser: Option<QuantiserConfig>,
    /// Parts whose layers keep no more than their input for the backward pass, which computes them again
    /// ([`vlp_ops::recompute`]). The result is the same up to the order of sums.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recompute: Vec<Part>,
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
    /// Visual dictionary after the projection, if configured.
    pub quantiser: Option<Quantiser>,
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
    /// Projected (and quantised) cells in row-major order with positions and padding.
    pub tokens: Memory,
    /// Rows and columns of the cells.
    pub grid: [usize; 2],
    /// What the dictionary gave, in a model that has one.
    pub quantised: Option<QuantisedMap>,
}

impl E2eVlpConfig {
    /// Builds the model for a vocabulary of `vocab_size` word pieces.
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
            backbone: (self.backbone.init(device)?)
                .with_recompute(self.recompute.contains(&Part::Backbone)),
            input_proj: LinearConfig::new(self.backbone.channels(), self.d_model).init(device),
            quantiser: self
                .quantiser
                .as_ref()
                .map(|own| own.init(self.d_model, device))
                .transpose()?,
            words: text.init(device),
            modality: self.modality_embedding.then(modality),
            encoder: EncoderConfig {
                layers: self.encoder_layers,
                layer: layer.clone(),
            }
            .init(device)?
            .with_recompute(self.recompute.contains(&Part::Encoder)),
            decoder: decoder(self.decoder_layers)?,
            caption_decoder: (self.caption_layers > 0)
                .then(|| decoder(self.caption_layers))
                .transpose()?,
        })
    }
}

impl E2eVlp {
    /// Backbone, projection, dictionary and positions of a batch of pictures, each of which has `copies` texts.
    ///
    /// # Errors
    /// [`ObjectiveError::Vision`] where the dictionary cannot start from so small a batch.
    pub fn image_tokens(
        &self,
        images: &PaddedImages,
        copies: usize,
    ) -> Result<ImageTokens, VisionError> {
        let maps = self.backbone.forward(images.pixels.clone());
        let map = maps[maps.len() - 1].clone();
        let [batch, channels, h, w] = map.dims();
        let cells = map.reshape([batch, channels, h * w]).swap_dims(1, 2);
        let mut states = apply(&self.input_proj, cells);
        let pad_mask = resize_mask(images.pad_mask.clone(), [h, w]);
        let width = states.dims()[2];
        let mut quantised = None;
        if let Some(quantiser) = &self.quantiser {
            let map = states.swap_dims(1, 2).reshape([batch, width, h, w]);
            let found = quantiser.forward(map, pad_mask.clone(), copies)?;
            states = found.tokens.clone();
            quantised = Some(found);
        }
        let states = self.with_modality(states);
        let pos = sine_positions(pad_mask.clone(), width).reshape([batch, h * w, width]);
        Ok(ImageTokens {
            grid: [h, w],
            maps,
            tokens: Memory {
                states,
                pos,
                pad_mask: pad_mask.reshape([batch, h * w]),
            },
            quantised,
        })
    }

    fn with_modality(&self, states: Tensor<3>) -> Tensor<3> {
        match &self.modality {
            Some(row) => states + row.val().unsqueeze(),
            None => states,
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

impl TextEncoder for E2eVlp {
    fn encode_text(&self, text: &TextBatch) -> TextStates {
        let embedded = self.words.forward(text.ids.clone());
        let tokens = Memory {
            pos: embedded.zeros_like(),
            states: embedded,
            pad_mask: text.pad_mask.clone(),
        };
        TextStates {
            states: self.encode_last(&tokens),
            pad_mask: tokens.pad_mask,
        }
    }
}

impl VisionLanguage for E2eVlp {
    /// One pass of the backbone, then the encoder over image and text, over the image alone, or both.
    fn encode(&self, inputs: &Inputs<'_>, needs: Needs) -> Result<Encoded<'_>, ObjectiveError> {
        let ImageTokens {
            maps,
            tokens,
            grid,
            quantised,
        } = self.image_tokens(inputs.images, inputs.copies())?;
        let codes = read_codes(
            quantised.as_ref(),
            self.quantiser.as_ref(),
            &tokens.pad_mask,
            inputs,
        );
        let (mut text_states, mut joint_image, mut looks) = (None, None, None);
        if needs.joint {
            let mut beside = beside_texts(&tokens, inputs);
            let rows = inputs.image_of.len();
            let hidden = codes
                .as_ref()
                .and_then(|c| c.hidden(rows, &beside.states.device()));
            if let (Some(hidden), Some(map), Some(own)) = (hidden, &quantised, &self.quantiser) {
                // Masked before the modality row, which tells that a token is of the image.
                let bare = inputs.beside_texts(map.tokens.clone());
                beside.states = self.with_modality(own.mask(bare, hidden));
            }
            let joint = self.joint_tokens(&beside, inputs.text);
            let cells = beside.states.dims()[1];
            let states = if needs.looks {
                let bias = AttentionBias::padding(joint.pad_mask);
                let (states, found) =
                    self.encoder
                        .forward_looking(joint.states, Some(joint.pos), Some(&bias));
                // Words stand after the cells.
                looks = found.map(|weights| weights.slice(s![.., cells.., ..cells]));
                states
            } else {
                self.encode_last(&joint)
            };
            let length = states.dims()[1];
            text_states = Some(TextStates {
                states: states.clone().slice(s![.., cells..length]),
                pad_mask: inputs.text.pad_mask.clone(),
            });
            beside.states = states.slice(s![.., 0..cells]);
            joint_image = Some(beside);
        }
        let alone = || Memory {
            states: self.encode_last(&tokens),
            ..tokens.clone()
        };
        Ok(Encoded {
            maps,
            text: text_states,
            joint_image,
            looks,
            image: needs.image.then(alone),
            grid,
            codes,
            text_encoder: Some(self),
            words: &self.words,
            decoder: Some(&self.decoder),
            caption_decoder: self.caption_decoder.as_ref(),
        })
    }
}
