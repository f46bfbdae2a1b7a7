//! Building model and objectives from a configuration.

use std::sync::Arc;

use burn::prelude::*;
use vlp_data::LabelSpace;
use vlp_eval::caption::CiderCorpus;
use vlp_models::{E2eVlp, ModelError, Soho};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::{CiderReward, HeadSizes, ObjectiveError, PretrainObjectives, SelfCritical};
use vlp_text::WordPieceTokenizer;
use vlp_vision::VisionError;

use crate::config::{ModelConfig, RunConfig};
use crate::data::{Datasets, Vocabulary};
use crate::error::VlpError;

/// The model of either system, without heads.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "callers destructure it at once")]
pub enum Model {
    /// E2E-VLP.
    E2eVlp(E2eVlp),
    /// SOHO.
    Soho(Soho),
}

/// The model on `device`; [`vlp_models::initialize`] samples its weights.
///
/// # Errors
/// [`VlpError::Config`] if texts may be longer than `model.max_positions`, [`VlpError::Model`] for sizes that do not fit.
pub fn build_model(
    config: &RunConfig,
    tokenizer: &WordPieceTokenizer,
    device: &Device,
) -> Result<Model, VlpError> {
    config.validate_positions()?;
    let vocab_size = tokenizer.vocab_size();
    let model = match &config.model {
        ModelConfig::E2eVlp(model) => model.init(vocab_size, device).map(Model::E2eVlp),
        ModelConfig::Soho(model) => model.init(vocab_size, device).map(Model::Soho),
    };
    model.map_err(|error| match error {
        // Its keys are those of the backbone or the quantizer.
        ModelError::Vision(error @ VisionError::Config { .. }) => {
            VlpError::Config(format!("model.{error}"))
        }
        ModelError::Vision(error @ VisionError::Dictionary { .. }) => {
            VlpError::Config(format!("model.quantizer.{error}"))
        }
        error => error.into(),
    })
}

/// The error of an invalid value with its whole key.
fn with_key(error: ObjectiveError) -> VlpError {
    match error {
        ObjectiveError::Config { .. } | ObjectiveError::Unusable { .. } => {
            VlpError::Config(format!("objectives.{error}"))
        }
        error => error.into(),
    }
}

/// The configured objectives, with heads for the label spaces and answers of the data.
///
/// # Errors
/// [`VlpError::Model`] for sizes that do not fit, [`VlpError::Data`] if captions for the CIDEr reward cannot be read,
/// [`VlpError::Config`] if there are fewer than two images with captions for it.
pub fn build_objectives(
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<PretrainObjectives, VlpError> {
    let (labels, answers) = (&data.label_spaces, data.answers.len());
    let mut objectives = init_objectives(config, labels, answers, &data.tokenizer, device)?;
    let caption = config.objectives.caption.as_ref();
    if let Some(self_critical) = caption.and_then(|caption| caption.self_critical.as_ref()) {
        let reward = Arc::new(cider_reward(self_critical, data)?);
        let caption = objectives.caption;
        objectives.caption = caption.map(|caption| caption.with_reward(reward));
    }
    Ok(objectives)
}

/// The configured objectives for the weights of a run with this vocabulary and tokenizer: to evaluate and predict, not to train.
///
/// # Errors
/// As [`build_objectives`].
pub fn trained_objectives(
    config: &RunConfig,
    vocabulary: &Vocabulary,
    tokenizer: &WordPieceTokenizer,
    device: &Device,
) -> Result<PretrainObjectives, VlpError> {
    let (labels, answers) = (&vocabulary.label_spaces, vocabulary.answers.len());
    init_objectives(config, labels, answers, tokenizer, device)
}

/// CIDEr-D with document frequencies of the training captions.
fn cider_reward(config: &SelfCritical, data: &Datasets) -> Result<CiderReward, VlpError> {
    let images = data.train.len().min(config.documents);
    if images < 2 {
        // The logarithm of the number of documents is then 0, and so is every weight.
        return Err(VlpError::Config(format!(
            "objectives.caption.self_critical: CIDEr-D needs the captions of at least 2 training images, and there are {images}"
        )));
    }
    let captions: Vec<Vec<String>> = (0..images)
        .map(|index| data.train.captions(index))
        .collect::<Result<_, _>>()?;
    Ok(CiderReward {
        corpus: CiderCorpus::new(captions.iter().map(Vec::as_slice)),
        tokenizer: data.tokenizer.clone(),
    })
}

/// The configured objectives with heads for these label spaces and this number of answers.
fn init_objectives(
    config: &RunConfig,
    label_spaces: &[LabelSpace],
    answers: usize,
    tokenizer: &WordPieceTokenizer,
    device: &Device,
) -> Result<PretrainObjectives, VlpError> {
    let sizes = HeadSizes {
        d_model: config.model.d_model(),
        vocab_size: tokenizer.vocab_size(),
        vocabularies: label_spaces.iter().map(ClassVocabulary::from).collect(),
        answers,
        codes: config.model.quantizer().map_or(0, |q| q.dictionary.codes),
    };
    let objectives = config.objectives.init(&sizes, device);
    objectives.map_err(with_key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vlp_scenes::{Scenes, ScenesConfig};

    use super::*;
    use crate::config::{Sources, resolve};

    #[test]
    fn the_captions_of_one_image_give_no_reward() {
        let sources = Sources {
            preset: Some("e2e-vlp-tiny".into()),
            set: vec!["data.scenes.count=40".into()],
            ..Sources::default()
        };
        let mut data = Datasets::open(&resolve(&sources).unwrap()).unwrap();
        let config = SelfCritical::default();
        assert!(cider_reward(&config, &data).is_ok());
        for images in [0, 1] {
            let scenes = ScenesConfig::default().with_count(images);
            data.train = Arc::new(Scenes::new(scenes).unwrap());
            let message = cider_reward(&config, &data).unwrap_err().to_string();
            assert!(message.contains("at least 2 training images"), "{message}");
        }
    }
}
