//! Model and objectives of a configuration, with their first weights.

use burn::prelude::*;
use vlp_models::{E2eObjectives, E2eVlp, initialise};
use vlp_objectives::Pretrain;
use vlp_objectives::detection::ClassVocabulary;

use crate::config::RunConfig;
use crate::data::Datasets;
use crate::error::VlpError;

/// The model that `vlp pretrain` trains.
pub type E2ePretrain = Pretrain<E2eVlp, E2eObjectives>;

/// Builds model and heads on `device` with the weights of `config.seed`.
pub fn build(
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<E2ePretrain, VlpError> {
    let vocab = data.pieces.vocab_size();
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
    let vocabulary = ClassVocabulary {
        name: data.labels.name.clone(),
        classes: data.labels.classes.len(),
        attributes: data.labels.attributes.len(),
    };
    let model = config.model.init(vocab, device)?;
    let objectives =
        config
            .objectives
            .init(config.model.d_model, vocab, vec![vocabulary], device)?;
    Ok(initialise(Pretrain { model, objectives }, config.seed))
}
