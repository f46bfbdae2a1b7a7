//! Heads of downstream tasks on `[CLS]` states.

use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, dropout, gelu, init_weights, linear_layer};

/// Layers between a `[CLS]` state and logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// Linear to twice the width, GELU, layer norm, linear: E2E-VLP's group in its public code (StructVBERT), after
    /// LXMERT.
    #[default]
    LxmertMlp,
    /// Linear to four times the width, ReLU, dropout 0.5, linear: SOHO's released code.
    SohoMlp,
    /// One linear layer.
    Linear,
}

/// A classifier of one or two linear layers.
#[derive(Module, Debug)]
pub struct ClsHead {
    inner: Option<Linear>,
    norm: Option<LayerNorm>,
    dropout: Dropout,
    outer: Linear,
}

init_weights!(ClsHead { inner, norm, outer; dropout });

impl HeadKind {
    /// Builds a head from states of width `input` to `classes` logits, for a model of width `d_model`.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    pub fn init(self, input: usize, d_model: usize, classes: usize, device: &Device) -> ClsHead {
        let width = match self {
            Self::LxmertMlp => 2 * d_model,
            Self::SohoMlp => 4 * d_model,
            Self::Linear => input,
        };
        let inner = || LinearConfig::new(input, width).init(device);
        let dropout = if self == Self::SohoMlp { 0.5 } else { 0.0 };
        ClsHead {
            inner: (self != Self::Linear).then(inner),
            norm: (self == Self::LxmertMlp).then(|| LayerNorm::new(width, 1e-12, device)),
            dropout: DropoutConfig::new(dropout).init(),
            outer: LinearConfig::new(width, classes).init(device),
        }
    }
}

impl ClsHead {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.outer.weight.shape().dims::<2>()[1]
    }

    /// Logits of states.
    ///
    /// # Shapes
    /// - states: `[rows, input]`
    /// - output: `[rows, classes]`
    pub fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        let x = match (&self.inner, &self.norm) {
            (Some(inner), Some(norm)) => norm.forward(gelu(linear_layer(inner, states))),
            (Some(inner), None) => dropout(&self.dropout, relu(linear_layer(inner, states))),
            (None, _) => states,
        };
        linear_layer(&self.outer, x)
    }
}
