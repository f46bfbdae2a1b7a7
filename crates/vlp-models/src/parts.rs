//! What the models share.

use vlp_objectives::Inputs;
use vlp_transformer::Memory;

use crate::error::ModelError;

/// Image tokens of every picture beside each of its texts.
pub(crate) fn beside_texts(tokens: &Memory, inputs: &Inputs<'_>) -> Memory {
    Memory {
        states: inputs.beside_texts(tokens.states.clone()),
        pos: inputs.beside_texts(tokens.pos.clone()),
        pad_mask: inputs.mask_beside_texts(tokens.pad_mask.clone()),
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
