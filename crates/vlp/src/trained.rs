//! A model out of a run folder.

use std::path::Path;

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_data::{AnswerVocabulary, LabelSpace};
use vlp_models::{E2eVlp, HeadSizes, PretrainObjectives, Soho, initialise};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::tally::Score;
use vlp_objectives::{Encoded, Inputs, Needs, ObjectiveError, Pretrain, VisionLanguage};
use vlp_text::WordPieces;
use vlp_train::trainer::{EMA, MODEL};
use vlp_train::{CheckpointStore, TrainError};

use crate::build;
use crate::config::{RunConfig, Sources, overlay};
use crate::data::{Datasets, word_pieces};
use crate::error::VlpError;
use crate::run::RunFolder;

/// What the numbers in a model's outputs mean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Classes and attributes of detection.
    pub labels: LabelSpace,
    /// Answers to questions, by number.
    #[serde(default)]
    pub answers: Vec<String>,
}

/// A trained model with its heads, on a device without autodiff.
pub struct Trained {
    /// Configuration of its run.
    pub config: RunConfig,
    /// Names of its outputs.
    pub vocabulary: Vocabulary,
    /// Its word pieces.
    pub pieces: WordPieces,
    /// Steps it was trained for.
    pub step: u64,
    /// Where it is.
    pub device: Device,
    model: System,
}

/// Model and heads of either system.
#[allow(
    clippy::large_enum_variant,
    reason = "one of it exists, and it is not moved about"
)]
pub enum System {
    /// E2E-VLP.
    E2eVlp(Pretrain<E2eVlp, PretrainObjectives>),
    /// SOHO.
    Soho(Pretrain<Soho, PretrainObjectives>),
}

impl System {
    /// A model of the configuration with the first weights of its seed.
    pub fn untrained(
        config: &RunConfig,
        vocabulary: &Vocabulary,
        pieces: &WordPieces,
        device: &Device,
    ) -> Result<Self, VlpError> {
        let labels = &vocabulary.labels;
        let sizes = HeadSizes {
            d_model: config.model.d_model(),
            vocab_size: pieces.vocab_size(),
            vocabularies: vec![ClassVocabulary {
                name: labels.name.clone(),
                classes: labels.classes.len(),
                attributes: labels.attributes.len(),
            }],
            answers: vocabulary.answers.len(),
            codes: config.model.quantiser().map_or(0, |q| q.dictionary.codes),
        };
        let objectives = config.objectives.init(&sizes, device)?;
        Ok(match build::model(config, pieces, device)? {
            build::Model::E2eVlp(model) => {
                Self::E2eVlp(initialise(Pretrain { model, objectives }, config.seed))
            }
            build::Model::Soho(model) => {
                Self::Soho(initialise(Pretrain { model, objectives }, config.seed))
            }
        })
    }

    fn load(self, bytes: &[u8]) -> Result<Self, burn::store::RecordError> {
        Ok(match self {
            Self::E2eVlp(own) => Self::E2eVlp(vlp_train::trainer::load(own, bytes)?),
            Self::Soho(own) => Self::Soho(vlp_train::trainer::load(own, bytes)?),
        })
    }

    /// Runs the passes that `needs` asks for.
    ///
    /// # Errors
    /// As [`VisionLanguage::encode`].
    pub fn encode(&self, inputs: &Inputs<'_>, needs: Needs) -> Result<Encoded<'_>, ObjectiveError> {
        match self {
            Self::E2eVlp(own) => own.model.encode(inputs, needs),
            Self::Soho(own) => own.model.encode(inputs, needs),
        }
    }

    /// The heads.
    pub fn objectives(&self) -> &PretrainObjectives {
        match self {
            Self::E2eVlp(own) => &own.objectives,
            Self::Soho(own) => &own.objectives,
        }
    }
}

/// Scores of a run's model on the held-out examples of its configuration with `sources` laid over (other data, more
/// examples).
///
/// # Errors
/// As [`Trained::open`], and where the data cannot be read or have other classes or answers.
pub fn evaluate(run: &Path, sources: &Sources, device: &Device) -> Result<Vec<Score>, VlpError> {
    let trained = Trained::open(run, device)?;
    let config = overlay(&trained.config, sources)?;
    let mut data = Datasets::open(&config)?;
    if data.labels != trained.vocabulary.labels && config.objectives.detection.is_some() {
        return Err(VlpError::Config(format!(
            "data.source = \"{}\" has other classes than the run was trained for ({})",
            config.data.source, trained.vocabulary.labels.name
        )));
    }
    data.answers = AnswerVocabulary::new(trained.vocabulary.answers.clone());
    match &trained.model {
        System::E2eVlp(own) => score(own, &config, &data, device).map(|found| found.0),
        System::Soho(own) => score(own, &config, &data, device).map(|found| found.0),
    }
}

/// Scores on the held-out examples, a batch in memory at a time, with the number of examples and what could not be
/// read.
fn score<M: VisionLanguage>(
    model: &Pretrain<M, PretrainObjectives>,
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<(Vec<Score>, usize, Vec<String>), VlpError> {
    crate::evaluate::heldout(model, model.objectives.itm.as_ref(), config, data, device)
}

impl Trained {
    /// The model of the newest whole checkpoint of `run`; its moving average where the run kept one.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] for a folder that is no run or has no checkpoint yet, [`VlpError::Train`] for a
    /// checkpoint that does not fit its configuration (a dictionary of another size, say).
    pub fn open(run: impl AsRef<Path>, device: &Device) -> Result<Self, VlpError> {
        let (folder, config) = RunFolder::open(run.as_ref())?;
        let Some(vocabulary) = folder.read_json::<Vocabulary>(&folder.vocabulary())? else {
            return Err(VlpError::RunFolder {
                path: folder.path,
                reason: "has no vocabulary.json: resume the run once, which writes it".into(),
            });
        };
        let pieces = word_pieces(&config.data.pieces)?;
        let store = CheckpointStore::open(folder.checkpoints(), config.checkpoint.keep)?;
        if store.steps()?.is_empty() {
            return Err(VlpError::RunFolder {
                path: folder.path,
                reason: "has no checkpoint yet: let it train to its first one".into(),
            });
        }
        let (checkpoint, _) = store.latest()?;
        let name = if config.train.ema_decay > 0.0 {
            EMA
        } else {
            MODEL
        };
        let fresh = System::untrained(&config, &vocabulary, &pieces, device)?;
        let model = fresh
            .load(checkpoint.file(name)?)
            .map_err(|e| TrainError::Mismatch {
                path: checkpoint.path.clone(),
                reason: format!("its weights do not fit config.toml: {e:?}"),
            })?;
        Ok(Self {
            config,
            vocabulary,
            pieces,
            step: checkpoint.state.step,
            device: device.clone(),
            model,
        })
    }

    /// Model and heads.
    pub fn system(&self) -> &System {
        &self.model
    }
}
