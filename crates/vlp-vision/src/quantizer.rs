//! Quantization of a feature map by the visual dictionary, and SOHO's variants of fusing the result with the map.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::softmax;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::{init_weights, linear_layer};

use crate::conv::{ConvNorm, ConvSpec};
use crate::dictionary::{DictionaryConfig, VisualDictionary};
use crate::error::VisionError;

/// Fusion of the codes with the grid features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fusion {
    /// Codes replace the grid features (the paper).
    Quantized,
    /// Codes are added to the grid features (`SimpleVDforPre` of the released code).
    Sum,
    /// A weighted sum of both with two learned weights per grid feature (`SimpleVDforPreGate`, the released configuration).
    Gate,
}

/// Configuration of a [`VectorQuantizer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct VectorQuantizerConfig {
    /// `quantized` as in the paper, `sum`, or `gate` as in the released code.
    pub fusion: Fusion,
    /// A linear layer on the codes (`pos_line`); in the released code, not in the paper.
    pub linear: bool,
    /// The dictionary.
    pub dictionary: DictionaryConfig,
}

impl VectorQuantizerConfig {
    /// The paper's quantizer with `codes` codes: no fusion, no linear layer.
    pub fn new(codes: usize) -> Self {
        Self {
            fusion: Fusion::Quantized,
            linear: false,
            dictionary: DictionaryConfig::new(codes),
        }
    }

    /// Builds the quantizer for maps of `width` channels.
    ///
    /// Its initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    ///
    /// # Errors
    /// [`VisionError::Dictionary`] for an invalid dictionary.
    pub fn init(&self, width: usize, device: &Device) -> Result<VectorQuantizer, VisionError> {
        let gate = || ConvSpec::conv1x1(2 * width, 2, 1).init(device);
        let mask = Tensor::random([width], Distribution::Normal(0.0, 0.02), device);
        Ok(VectorQuantizer {
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

/// A visual dictionary, the fusion of its output with the features, and a learned mask vector.
#[derive(Module, Debug)]
pub struct VectorQuantizer {
    /// The dictionary.
    pub dictionary: VisualDictionary,
    linear: Option<Linear>,
    gate: Option<ConvNorm>,
    mask: Param<Tensor<1>>,
    sum: bool,
    count_padding: bool,
}

init_weights!(VectorQuantizer {
    dictionary,
    linear,
    gate,
    mask = Normal(0.02);
    sum, count_padding
});

/// Output of a [`VectorQuantizer`]; grid features are in row-major order.
#[derive(Debug, Clone)]
pub struct QuantizedMap {
    /// Visual tokens after the fusion, `[batch, h * w, width]`.
    pub tokens: Tensor<3>,
    /// Codes before the fusion, `[batch, h * w, width]`.
    pub quantized: Tensor<3>,
    /// Index of the code of each grid feature, `[batch, h * w]`, padding included.
    pub codes: Tensor<2, Int>,
    /// The codebook of [`Quantized`](crate::dictionary::Quantized), `[codes, width]`, without gradient.
    pub codebook: Tensor<2>,
    /// Grid features before quantization, `[batch, h * w, width]`.
    pub features: Tensor<3>,
    /// Height and width of the map.
    pub grid: [usize; 2],
}

impl VectorQuantizer {
    /// Quantizes a map.
    ///
    /// `repeats` is the number of times each image occurs in the batch (texts per image): its features count `repeats`
    /// times in the dictionary and in the norm of the gate.
    ///
    /// # Shapes
    /// - `map`: `[batch, width, h, w]`
    /// - `pad_mask`: `[batch, h, w]`, true = padding
    /// - output: see [`QuantizedMap`]
    ///
    /// # Errors
    /// As [`VisualDictionary::forward`].
    pub fn forward(
        &self,
        map: Tensor<4>,
        pad_mask: Tensor<3, Bool>,
        repeats: usize,
    ) -> Result<QuantizedMap, VisionError> {
        let [n, d, h, w] = map.dims();
        let features = map.reshape([n, d, h * w]).swap_dims(1, 2);
        let weights = match self.count_padding {
            true => Tensor::ones([n * h * w], &features.device()),
            false => pad_mask.bool_not().float().reshape([n * h * w]),
        };
        let output = self.dictionary.forward(
            features.clone().reshape([n * h * w, d]),
            Some(weights.mul_scalar(repeats as f64)),
        )?;
        let quantized = output.states.reshape([n, h * w, d]);
        let tokens = match &self.linear {
            Some(linear) => linear_layer(linear, quantized.clone()),
            None => quantized.clone(),
        };
        let tokens = match &self.gate {
            Some(gate) => {
                let both = Tensor::cat(vec![tokens.clone(), features.clone()], 2);
                let both = both.swap_dims(1, 2).reshape([n, 2 * d, h, w]);
                let gates = softmax(gate.forward_repeated(both, repeats), 1);
                let gates = gates.reshape([n, 2, h * w]).swap_dims(1, 2);
                tokens * gates.clone().narrow(2, 0, 1) + features.clone() * gates.narrow(2, 1, 1)
            }
            None if self.sum => tokens + features.clone(),
            None => tokens,
        };
        Ok(QuantizedMap {
            tokens,
            quantized,
            codes: output.codes.reshape([n, h * w]),
            codebook: output.codebook,
            features,
            grid: [h, w],
        })
    }

    /// Replaces tokens by the mask vector where `mask` is true.
    ///
    /// # Shapes
    /// - `tokens`: `[batch, tokens, width]`
    /// - `mask`: `[batch, tokens]`
    /// - output: as `tokens`
    pub fn mask(&self, tokens: Tensor<3>, mask: Tensor<2, Bool>) -> Tensor<3> {
        let shape = tokens.dims();
        let vector = self.mask.val().reshape([1, 1, shape[2]]).expand(shape);
        tokens.mask_where(mask.unsqueeze_dim::<3>(2).expand(shape), vector)
    }
}
