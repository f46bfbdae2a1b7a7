//! Model and objectives of a configuration.

use burn::prelude::*;
use vlp_models::{E2eObjectives, E2eVlp};
use vlp_objectives::detection::ClassVocabulary;

use crate::config::RunConfig;
use crate::data::Datasets;
use crate::error::VlpError;

/// The model on `device`; its weights are drawn later, by [`vlp_models::initialise`].
pub fn model(config: &RunConfig, data: &Datasets, device: &Device) -> Result<E2eVlp, VlpError> {
    let longest = config
        .data
        .max_text
        .max(config.objectives.caption.as_ref().map_or(0, |c| c.max_len));
    if longest > config.model.max_positions {
        return Err(VlpError::Config(format!(
            "model.max_positions = {}: texts of up to {longest} tokens (data.max_text, objectives.caption.max_len) need as many",
            config.model.max_positions
        )));
    }
    Ok(config.model.init(data.pieces.vocab_size(), device)?)
}

/// The configured objectives, with a class head for the data's labels.
pub fn objectives(
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<E2eObjectives, VlpError> {
    let vocabulary = ClassVocabulary {
        name: data.labels.name.clone(),
        classes: data.labels.classes.len(),
        attributes: data.labels.attributes.len(),
    };
    let vocab = data.pieces.vocab_size();
    Ok(config
        .objectives
        .init(config.model.d_model, vocab, vec![vocabulary], device)?)
}
