//! Model and objectives of a configuration.

use burn::prelude::*;
use vlp_models::{E2eVlp, HeadSizes, PretrainObjectives, Soho};
use vlp_objectives::detection::ClassVocabulary;

use crate::config::{ModelConfig, RunConfig};
use crate::data::Datasets;
use crate::error::VlpError;
use vlp_text::WordPieces;

/// The model of either system.
#[allow(clippy::large_enum_variant, reason = "taken apart where it was made")]
pub enum Model {
    /// E2E-VLP.
    E2eVlp(E2eVlp),
    /// SOHO.
    Soho(Soho),
}

/// The model on `device`; its weights are drawn later, by [`vlp_models::initialise`].
pub fn model(config: &RunConfig, pieces: &WordPieces, device: &Device) -> Result<Model, VlpError> {
    let longest = config
        .data
        .max_text
        .max(config.objectives.caption.as_ref().map_or(0, |c| c.max_len));
    let room = config.model.max_positions();
    if longest > room {
        return Err(VlpError::Config(format!(
            "model.max_positions = {room}: texts of up to {longest} tokens (data.max_text, objectives.caption.max_len) need as many"
        )));
    }
    let vocab = pieces.vocab_size();
    Ok(match &config.model {
        ModelConfig::E2eVlp(own) => Model::E2eVlp(own.init(vocab, device)?),
        ModelConfig::Soho(own) => Model::Soho(own.init(vocab, device)?),
    })
}

/// The configured objectives, with a class head for the data's labels.
pub fn objectives(
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<PretrainObjectives, VlpError> {
    let sizes = HeadSizes {
        d_model: config.model.d_model(),
        vocab_size: data.pieces.vocab_size(),
        vocabularies: vec![ClassVocabulary {
            name: data.labels.name.clone(),
            classes: data.labels.classes.len(),
            attributes: data.labels.attributes.len(),
        }],
        answers: data.answers.len(),
        codes: config.model.quantiser().map_or(0, |q| q.dictionary.codes),
    };
    Ok(config.objectives.init(&sizes, device)?)
}
