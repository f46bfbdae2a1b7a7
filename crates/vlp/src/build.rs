//! Model and objectives of a configuration.

use std::sync::Arc;

use burn::prelude::*;
use vlp_data::LabelSpace;
use vlp_eval::caption::CiderCorpus;
use vlp_models::{E2eVlp, HeadSizes, PretrainObjectives, Soho};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::{CiderReward, SelfCritical};
use vlp_text::WordPieces;

use crate::config::{ModelConfig, RunConfig};
use crate::data::Datasets;
use crate::error::VlpError;

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
    let sizes = sizes(config, &data.labels, data.answers.len(), &data.pieces);
    let mut found = config.objectives.init(&sizes, device)?;
    let critical = config.objectives.caption.as_ref();
    if let Some(critical) = critical.and_then(|own| own.self_critical.as_ref()) {
        let reward = Arc::new(reward(critical, data)?);
        found.caption = found.caption.map(|own| own.with_reward(reward));
    }
    Ok(found)
}

/// CIDEr-D with the rarity of words among the training captions.
fn reward(config: &SelfCritical, data: &Datasets) -> Result<CiderReward, VlpError> {
    let images = data.train.len().min(config.documents);
    let captions: Vec<Vec<String>> = (0..images)
        .map(|index| data.train.captions(index))
        .collect::<Result<_, _>>()?;
    Ok(CiderReward {
        corpus: CiderCorpus::new(captions.iter().map(Vec::as_slice)),
        pieces: data.pieces.clone(),
    })
}

/// What the heads are built for.
pub(crate) fn sizes(
    config: &RunConfig,
    labels: &LabelSpace,
    answers: usize,
    pieces: &WordPieces,
) -> HeadSizes {
    HeadSizes {
        d_model: config.model.d_model(),
        vocab_size: pieces.vocab_size(),
        vocabularies: vec![ClassVocabulary {
            name: labels.name.clone(),
            classes: labels.classes.len(),
            attributes: labels.attributes.len(),
        }],
        answers,
        codes: config.model.quantiser().map_or(0, |q| q.dictionary.codes),
    }
}
