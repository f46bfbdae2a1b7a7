//! A feature map through the visual dictionary: quantised cells, mixed with the map or not (SOHO's necks).

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};
use vlp_ops::apply;

use crate::conv::{ConvNorm, ConvSpec};
use crate::dictionary::{DictionaryConfig, VisualDictionary};
use crate::error::VisionError;

/// What becomes of the quantised cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fusion {
    /// They replace the map (SOHO, the paper).
    Quantised,
    /// They are added to it (`SimpleVDforPre` of the released code).
    Sum,
    /// Two learned weights a cell mix both (`SimpleVDforPreGate`, the released configuration).
    Gate,
}

/// Configuration of a [`Quantiser`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantiserConfig {
    /// `quantised` as in the paper, `sum`, or `gate` as in the released code.
    pub fusion: Fusion,
    /// A linear layer on the quantised cells (`pos_line`); in the released code, not in the paper.
    pub linear: bool,
    /// The dictionary.
    pub dictionary: DictionaryConfig,
}

impl QuantiserConfig {
    /// The paper's: quantised cells and nothing else, `codes` rows.
    pub fn new(codes: usize) -> Self {
        Self {
            fusion: Fusion::Quantised,
            linear: false,
            dictionary: DictionaryConfig::new(codes),
        }
    }

    /// Builds the quantiser for maps of `width` channels.
    ///
    /// # Errors
    /// [`VisionError::Dictionary`] for an impossible dictionary.
    pub fn init(&self, width: usize, device: &Device) -> Result<Quantiser, VisionError> {
        let gate = || ConvSpec::pointwise(2 * width, 2, 1).init(device);
        let mask = Tensor::random([width], Distribution::Normal(0.0, 0.02), device);
        Ok(Quantiser {
            dictionary: self.dictionary.init(width, device)?,
            linear: self
                .linear
                .then(|| LinearConfig::new(width, width).init(device)),
            gate: (self.fusion == Fusion::Gate).then(gate),
            mask: Param::from_tensor(mask),
            sum: self.fusion == Fusion::Sum,
            count_padding: self.dictionary.count_padding,
        })
    }
}

/// Dictionary, mixing and the vector that masks a cell.
#[derive(Module, Debug)]
pub struct Quantiser {
    /// The dictionary.
    pub dictionary: VisualDictionary,
    linear: Option<Linear>,
    gate: Option<ConvNorm>,
    mask: Param<Tensor<1>>,
    sum: bool,
    count_padding: bool,
}

/// A map after the dictionary, cells in row-major order.
#[derive(Debug, Clone)]
pub struct QuantisedMap {
    /// Mixed cells `[batch, cells, width]`.
    pub tokens: Tensor<3>,
    /// The quantised cells alone, `[batch, cells, width]`.
    pub quantised: Tensor<3>,
    /// Code of every cell, `[batch, cells]`, padded ones included.
    pub codes: Tensor<2, Int>,
    /// The table after its update, `[codes, width]`, without gradient.
    pub table: Tensor<2>,
    /// The cells before the look-up, `[batch, cells, width]`.
    pub features: Tensor<3>,
    /// Rows and columns of cells.
    pub grid: [usize; 2],
}

impl Quantiser {
    /// Quantises `map` `[batch, width, h, w]`; `pad_mask` is `[batch, h, w]`, true = padding.
    ///
    /// `copies` says how often each picture stands in the batch (texts a picture): its cells count as often for
    /// the dictionary and for the gate's norm.
    ///
    /// # Errors
    /// As [`VisualDictionary::forward`].
    pub fn forward(
        &self,
        map: Tensor<4>,
        pad_mask: Tensor<3, Bool>,
        copies: usize,
    ) -> Result<QuantisedMap, VisionError> {
        let [n, d, h, w] = map.dims();
        let cells = map.reshape([n, d, h * w]).swap_dims(1, 2);
        let features = cells.clone();
        let weights = match self.count_padding {
            true => Tensor::ones([n * h * w], &cells.device()),
            false => pad_mask.bool_not().float().reshape([n * h * w]),
        };
        let found = self.dictionary.forward(
            cells.clone().reshape([n * h * w, d]),
            Some(weights.mul_scalar(copies as f64)),
        )?;
        let quantised = found.states.reshape([n, h * w, d]);
        let tokens = match &self.linear {
            Some(linear) => apply(linear, quantised.clone()),
            None => quantised.clone(),
        };
        let tokens = match &self.gate {
            Some(gate) => {
                let both = Tensor::cat(vec![tokens.clone(), cells.clone()], 2);
                let both = both.swap_dims(1, 2).reshape([n, 2 * d, h, w]);
                let shares = softmax(gate.forward_copies(both, copies), 1);
                let shares = shares.reshape([n, 2, h * w]).swap_dims(1, 2);
                tokens * shares.clone().narrow(2, 0, 1) + cells * shares.narrow(2, 1, 1)
            }
            None if self.sum => tokens + cells,
            None => tokens,
        };
        Ok(QuantisedMap {
            tokens,
            quantised,
            codes: found.codes.reshape([n, h * w]),
            table: found.table,
            features,
            grid: [h, w],
        })
    }

    /// Puts the mask vector where `hidden` `[rows, cells]` is true in `tokens` `[rows, cells, width]`.
    pub fn mask(&self, tokens: Tensor<3>, hidden: Tensor<2, Bool>) -> Tensor<3> {
        let shape = tokens.dims();
        let mask = self.mask.val().reshape([1, 1, shape[2]]).expand(shape);
        tokens.mask_where(hidden.unsqueeze_dim::<3>(2).expand(shape), mask)
    }
}
