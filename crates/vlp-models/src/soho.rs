//! SOHO (Huang et al., CVPR 2021): a visual dictionary over grid features, one encoder over words and cells.

use burn::nn::pool::MaxPool2dConfig;
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::{
    Encoded, Inputs, Needs, ObjectiveError, TextEncoder, TextStates, VisionLanguage,
};
use vlp_ops::LayerNorm;
use vlp_transformer::{
    AttentionBias, Decoder, DecoderConfig, Encoder, EncoderConfig, LayerConfig, Memory, TextBatch,
    TextEmbedding, TextEmbeddingConfig,
};
use vlp_vision::conv::{ConvNorm, ConvSpec};
use vlp_vision::{
    PaddedImages, QuantisedMap, Quantiser, QuantiserConfig, ResNet, ResNetConfig, VisionError,
    resize_mask, sine_positions,
};

use crate::error::ModelError;
use crate::parts::{Part, check_dropout, check_width, read_codes};

/// Where the 2x2 max-pool of stride 2 stands, which halves the map once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Nowhere.
    None,
    /// Before the 1x1 convolution (the released code).
    Before,
    /// After it (the paper).
    After,
}

/// Configuration of [`Soho`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SohoConfig {
    /// Visual backbone; ResNet-101 in the paper, ResNet-18 in the released code.
    pub backbone: ResNetConfig,
    /// Width of tokens and of the dictionary's rows; 768. A multiple of 4 (2-D positions) and of `heads`.
    pub d_model: usize,
    /// Attention heads; 12.
    pub heads: usize,
    /// Width of the feed-forward blocks; 3072.
    pub ffn: usize,
    /// Encoder layers; 12 in the paper, 3 in its ablations and the released code.
    pub encoder_layers: usize,
    /// Layers of a decoder for detection and captions, 0 for none; SOHO has none.
    #[serde(default)]
    pub decoder_layers: usize,
    /// Dropout; 0.1 in BERT.
    pub dropout: f64,
    /// Rows of the text position table; 512 in BERT.
    pub max_positions: usize,
    /// Where the map is pooled: `after` the convolution in the paper, `before` it in the released code, `none`.
    pub pool: Pool,
    /// The visual dictionary; without one the cells go on as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiser: Option<QuantiserConfig>,
    /// Reproduce a fault of the released code, whose mask canvas has the height for both sides: the right part of
    /// upright pictures is hidden, padding at the right of broad ones is not.
    #[serde(default)]
    pub portrait_mask_fault: bool,
    /// Parts whose layers keep no more than their input for the backward pass, which computes them again
    /// ([`vlp_ops::recompute`]). The result is the same up to the order of sums.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recompute: Vec<Part>,
}

/// The model without its objectives' heads.
#[derive(Module, Debug)]
pub struct Soho {
    /// ResNet trunk.
    pub backbone: ResNet,
    /// 1x1 convolution to `d_model` with its norm.
    pub input_proj: ConvNorm,
    /// Visual dictionary, if configured.
    pub quantiser: Option<Quantiser>,
    /// Norm of the cells with their positions.
    pub norm: LayerNorm,
    /// BERT's text embedding; its word table is tied to the output head.
    pub words: TextEmbedding,
    /// Encoder over words and cells.
    pub encoder: Encoder,
    /// Decoder of object queries and captions, if configured.
    pub decoder: Option<Decoder>,
    #[module(skip)]
    config: SohoConfig,
}

/// Cells before the encoder.
#[derive(Debug, Clone)]
pub struct VisualCells {
    /// Stage maps of the backbone, finest first.
    pub maps: Vec<Tensor<4>>,
    /// The projected map `[images, d_model, h, w]`.
    pub projected: Tensor<4>,
    /// Cells `[images, h * w, d_model]`, quantised if so configured, without positions and norm.
    pub tokens: Tensor<3>,
    /// Rows and columns of the cells.
    pub grid: [usize; 2],
    /// Sine positions of the cells, `[images, h * w, d_model]`.
    pub pos: Tensor<3>,
    /// `[images, h * w]`, true = padding.
    pub pad_mask: Tensor<2, Bool>,
    /// What the dictionary gave, in a model that has one.
    pub quantised: Option<QuantisedMap>,
}

impl SohoConfig {
    /// Builds the model for a vocabulary of `vocab_size` word pieces.
    ///
    /// # Errors
    /// [`ModelError`] with key, value and what would do.
    pub fn init(&self, vocab_size: usize, device: &Device) -> Result<Soho, ModelError> {
        check_width(self.d_model, 768)?;
        check_dropout(self.dropout)?;
        let layer = LayerConfig::bert(self.d_model, self.heads, self.ffn, self.dropout);
        let text = TextEmbeddingConfig {
            vocab_size,
            d_model: self.d_model,
            max_len: self.max_positions,
            types: 2,
            dropout: self.dropout,
        };
        let projection = ConvSpec::pointwise(self.backbone.channels(), self.d_model, 1);
        let decoder = DecoderConfig {
            layers: self.decoder_layers,
            layer: LayerConfig::detr(self.d_model, self.heads, self.ffn, self.dropout),
        };
        Ok(Soho {
            backbone: (self.backbone.init(device)?)
                .with_recompute(self.recompute.contains(&Part::Backbone)),
            input_proj: projection.init(device),
            quantiser: self
                .quantiser
                .as_ref()
                .map(|own| own.init(self.d_model, device))
                .transpose()?,
            norm: LayerNorm::new(self.d_model, 1e-5, device),
            words: text.init(device),
            encoder: EncoderConfig {
                layers: self.encoder_layers,
                layer,
            }
            .init(device)?
            .with_recompute(self.recompute.contains(&Part::Encoder)),
            decoder: (self.decoder_layers > 0)
                .then(|| decoder.init(device))
                .transpose()?,
            config: self.clone(),
        })
    }

    /// Pixels of the picture per cell.
    pub fn stride(&self) -> usize {
        self.backbone.stride() * if self.pool == Pool::None { 1 } else { 2 }
    }
}

impl Soho {
    /// Backbone, pool, projection, dictionary and positions of pictures that have `copies` texts each.
    ///
    /// # Errors
    /// [`VisionError::TooSmall`] for pictures of which no cell is left, [`VisionError::Dictionary`] where the
    /// dictionary cannot start from so small a batch.
    pub fn cells(&self, images: &PaddedImages, copies: usize) -> Result<VisualCells, VisionError> {
        let maps = self.backbone.forward(images.pixels.clone());
        let map = maps[maps.len() - 1].clone();
        let [_, _, height, width] = images.pixels.dims();
        let [_, _, rows, columns] = map.dims();
        if self.config.pool != Pool::None && (rows < 2 || columns < 2) {
            let stride = self.config.stride();
            return Err(VisionError::TooSmall {
                height,
                width,
                stride,
            });
        }
        let halve = |x| {
            MaxPool2dConfig::new([2, 2])
                .with_strides([2, 2])
                .init()
                .forward(x)
        };
        let project = |x| self.input_proj.forward_copies(x, copies);
        let projected = match self.config.pool {
            Pool::None => project(map),
            Pool::Before => project(halve(map)),
            Pool::After => halve(project(map)),
        };
        let [n, d, h, w] = projected.dims();
        let pixels = match self.config.portrait_mask_fault {
            true => square_canvas(images.pad_mask.clone()),
            false => images.pad_mask.clone(),
        };
        let grid = resize_mask(pixels, [h, w]);
        let (tokens, quantised) = match &self.quantiser {
            Some(own) => {
                let found = own.forward(projected.clone(), grid.clone(), copies)?;
                (found.tokens.clone(), Some(found))
            }
            None => (
                projected.clone().reshape([n, d, h * w]).swap_dims(1, 2),
                None,
            ),
        };
        Ok(VisualCells {
            maps,
            projected,
            tokens,
            grid: [h, w],
            pos: sine_positions(grid.clone(), d).reshape([n, h * w, d]),
            pad_mask: grid.reshape([n, h * w]),
            quantised,
        })
    }

    /// Cells as the encoder takes them: `tokens` with positions, normalised.
    pub fn visual(&self, tokens: Tensor<3>, pos: Tensor<3>) -> Tensor<3> {
        self.norm.forward(tokens + pos)
    }

    /// Outputs of every encoder layer over `x` `[rows, tokens, d_model]`.
    pub fn encode_all(&self, x: Tensor<3>, pad_mask: Tensor<2, Bool>) -> Vec<Tensor<3>> {
        let bias = AttentionBias::padding(pad_mask);
        self.encoder.forward_all(x, None, Some(&bias))
    }
}

/// The released code's mask: as wide as it is high.
fn square_canvas(pad_mask: Tensor<3, Bool>) -> Tensor<3, Bool> {
    let [n, h, w] = pad_mask.dims();
    if w >= h {
        return pad_mask.slice(s![.., .., 0..h]);
    }
    let device = pad_mask.device();
    let rest = Tensor::<3, Int>::ones([n, h, h - w], &device);
    Tensor::cat(vec![pad_mask.int(), rest], 2).greater_elem(0)
}

impl TextEncoder for Soho {
    fn encode_text(&self, text: &TextBatch) -> TextStates {
        let bias = AttentionBias::padding(text.pad_mask.clone());
        let words = self.words.forward(text.ids.clone());
        TextStates {
            states: self.encoder.forward(words, None, Some(&bias)),
            pad_mask: text.pad_mask.clone(),
        }
    }
}

impl VisionLanguage for Soho {
    /// One pass of the backbone and the dictionary for each picture, then the encoder over words and cells, over
    /// the cells alone, or both.
    fn encode(&self, inputs: &Inputs<'_>, needs: Needs) -> Result<Encoded<'_>, ObjectiveError> {
        let cells = self.cells(inputs.images, inputs.copies())?;
        let codes = read_codes(
            cells.quantised.as_ref(),
            self.quantiser.as_ref(),
            &cells.pad_mask,
            inputs,
        );
        let last = |x: Tensor<3>, pad_mask: Tensor<2, Bool>| {
            let bias = AttentionBias::padding(pad_mask);
            self.encoder.forward(x, None, Some(&bias))
        };
        let (mut text_states, mut joint_image, mut looks) = (None, None, None);
        if needs.joint {
            let mut tokens = inputs.beside_texts(cells.tokens.clone());
            let rows = inputs.image_of.len();
            let hidden = codes
                .as_ref()
                .and_then(|c| c.hidden(rows, &tokens.device()));
            if let (Some(hidden), Some(own)) = (hidden, &self.quantiser) {
                tokens = own.mask(tokens, hidden);
            }
            let pos = inputs.beside_texts(cells.pos.clone());
            let pad_mask = inputs.mask_beside_texts(cells.pad_mask.clone());
            let words = self.words.forward(inputs.text.ids.clone());
            let length = words.dims()[1];
            let x = Tensor::cat(vec![words, self.visual(tokens, pos.clone())], 1);
            let both = Tensor::cat(vec![inputs.text.pad_mask.clone(), pad_mask.clone()], 1);
            let states = if needs.looks {
                let bias = AttentionBias::padding(both);
                let (states, found) = self.encoder.forward_looking(x, None, Some(&bias));
                looks = found.map(|weights| weights.slice(s![.., ..length, length..]));
                states
            } else {
                last(x, both)
            };
            let all = states.dims()[1];
            text_states = Some(TextStates {
                states: states.clone().slice(s![.., 0..length]),
                pad_mask: inputs.text.pad_mask.clone(),
            });
            joint_image = Some(Memory {
                states: states.slice(s![.., length..all]),
                pos,
                pad_mask,
            });
        }
        let alone = || Memory {
            states: last(
                self.visual(cells.tokens.clone(), cells.pos.clone()),
                cells.pad_mask.clone(),
            ),
            pos: cells.pos.clone(),
            pad_mask: cells.pad_mask.clone(),
        };
        Ok(Encoded {
            image: needs.image.then(alone),
            grid: cells.grid,
            text_encoder: Some(self),
            maps: cells.maps,
            text: text_states,
            joint_image,
            looks,
            codes,
            words: &self.words,
            decoder: self.decoder.as_ref(),
            caption_decoder: None,
        })
    }
}
