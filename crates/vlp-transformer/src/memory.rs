//! The encoded image that a decoder attends to.

use burn::prelude::*;

use crate::attention::AttentionBias;

/// Encoded image tokens with their positions and padding.
#[derive(Debug, Clone)]
pub struct Memory {
    /// `[batch, tokens, d_model]`.
    pub states: Tensor<3>,
    /// Positions added to the keys, `[batch, tokens, d_model]`.
    pub pos: Tensor<3>,
    /// `[batch, tokens]`, true = padding.
    pub pad_mask: Tensor<2, Bool>,
}

impl Memory {
    /// Masks padded tokens.
    pub fn bias(&self) -> AttentionBias {
        AttentionBias::padding(self.pad_mask.clone())
    }

    /// Selects rows of the batch, for beam search and for the images of one class vocabulary.
    pub fn select(&self, rows: Tensor<1, Int>) -> Self {
        Self {
            states: self.states.clone().select(0, rows.clone()),
            pos: self.pos.clone().select(0, rows.clone()),
            pad_mask: self.pad_mask.clone().int().select(0, rows).greater_elem(0),
        }
    }

    /// States with positions: the keys of cross-attention.
    pub(crate) fn keys(&self) -> Tensor<3> {
        self.states.clone() + self.pos.clone()
    }
}
