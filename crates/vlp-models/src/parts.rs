//! What the models share.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::{Codes, Inputs};
use vlp_transformer::Memory;
use vlp_vision::{QuantisedMap, Quantiser};

use crate::error::ModelError;

/// Layers of which the backward pass can compute the insides again instead of keeping them: the same gradients, up to
/// the order of sums, in less memory, for one more forward pass of these layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Residual blocks of the backbone.
    Backbone,
    /// Layers of the encoder.
    Encoder,
}

/// Image tokens of every picture beside each of its texts.
pub(crate) fn beside_texts(tokens: &Memory, inputs: &Inputs<'_>) -> Memory {
    Memory {
        states: inputs.beside_texts(tokens.states.clone()),
        pos: inputs.beside_texts(tokens.pos.clone()),
        pad_mask: inputs.mask_beside_texts(tokens.pad_mask.clone()),
    }
}

/// What the dictionary made of a batch, in a model that has one; `pad_mask` is `[images, cells]`.
pub(crate) fn read_codes<'a>(
    map: Option<&QuantisedMap>,
    quantiser: Option<&'a Quantiser>,
    pad_mask: &Tensor<2, Bool>,
    inputs: &Inputs<'_>,
) -> Option<Codes<'a>> {
    let (map, own) = (map?, quantiser?);
    Some(Codes::read(map, pad_mask.clone(), inputs, &own.dictionary))
}

/// Says so where 2-D sine positions do not fit a width; `paper` is the published one.
pub(crate) fn check_width(d_model: usize, paper: usize) -> Result<(), ModelError> {
    match d_model > 0 && d_model.is_multiple_of(4) {
        true => Ok(()),
        false => Err(ModelError::Config {
            key: "d_model",
            value: d_model.to_string(),
            hint: format!("2-D sine positions need a multiple of 4 ({paper} in the paper)"),
        }),
    }
}

/// Says so where a dropout is no probability below 1.
pub(crate) fn check_dropout(dropout: f64) -> Result<(), ModelError> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(ModelError::Config {
            key: "dropout",
            value: dropout.to_string(),
            hint: "use a probability of at least 0 and less than 1 (0.1 in DETR and BERT)".into(),
        }),
    }
}
