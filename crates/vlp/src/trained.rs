//! A model out of a run folder.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use vlp_data::LabelSpace;
use vlp_models::{E2eVlp, PretrainObjectives, Soho, initialise};
use vlp_objectives::{Encoded, Inputs, Needs, ObjectiveError, Pretrain, VisionLanguage};
use vlp_text::WordPieces;
use vlp_train::trainer::{EMA, MODEL};
use vlp_train::{CheckpointStore, TrainError};

use crate::adopt::Put;
use crate::build;
use crate::config::RunConfig;
use crate::data::word_pieces;
use crate::error::VlpError;
use crate::portable;
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
    /// A model of the configuration whose weights are yet to be drawn or loaded.
    fn new(
        config: &RunConfig,
        vocabulary: &Vocabulary,
        pieces: &WordPieces,
        device: &Device,
    ) -> Result<Self, VlpError> {
        let sizes = build::sizes(config, &vocabulary.labels, vocabulary.answers.len(), pieces);
        let objectives = config.objectives.init(&sizes, device)?;
        Ok(match build::model(config, pieces, device)? {
            build::Model::E2eVlp(model) => Self::E2eVlp(Pretrain { model, objectives }),
            build::Model::Soho(model) => Self::Soho(Pretrain { model, objectives }),
        })
    }

    fn load(self, bytes: &[u8]) -> Result<Self, burn::store::RecordError> {
        Ok(match self {
            Self::E2eVlp(own) => Self::E2eVlp(vlp_train::trainer::load(own, bytes)?),
            Self::Soho(own) => Self::Soho(vlp_train::trainer::load(own, bytes)?),
        })
    }

    /// As [`Self::load`] of values by their path.
    fn fill(self, put: &mut Put) -> Self {
        match self {
            Self::E2eVlp(own) => Self::E2eVlp(own.map(put)),
            Self::Soho(own) => Self::Soho(own.map(put)),
        }
    }

    /// Every float parameter and state by its path.
    pub(crate) fn values(&self) -> BTreeMap<String, TensorData> {
        let mut values = Values::default();
        match self {
            Self::E2eVlp(own) => own.visit(&mut values),
            Self::Soho(own) => own.visit(&mut values),
        }
        values.found
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

#[derive(Default)]
struct Values {
    path: Vec<String>,
    found: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Values {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found
            .insert(self.path.join("."), param.val().into_data());
    }
}

impl Trained {
    /// The model of the newest whole checkpoint of `run`, its moving average where the run kept one; or that of a folder in
    /// Hugging Face's layout.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] for a folder that is no run or has no checkpoint yet, [`VlpError::Train`] for a
    /// checkpoint that does not fit its configuration (a dictionary of another size, say).
    pub fn open(run: impl AsRef<Path>, device: &Device) -> Result<Self, VlpError> {
        if portable::is(run.as_ref()) {
            return Self::open_portable(run.as_ref(), device);
        }
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
        let fresh = System::new(&config, &vocabulary, &pieces, device)?;
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

    fn open_portable(folder: &Path, device: &Device) -> Result<Self, VlpError> {
        let found = portable::open(folder)?;
        let pieces = word_pieces(&found.config.data.pieces)?;
        let fresh = System::new(&found.config, &found.vocabulary, &pieces, device)?;
        let mut put = Put {
            values: found.values,
            ..Put::default()
        };
        let model = fresh.fill(&mut put);
        let problem = match (
            put.misfits.first(),
            put.fresh.first(),
            put.values.first_key_value(),
        ) {
            (Some(misfit), _, _) => Some(misfit.clone()),
            (_, Some(path), _) => Some(format!("{path} is missing")),
            (_, _, Some((path, _))) => Some(format!("{path} is not known")),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(VlpError::RunFolder {
                path: folder.into(),
                reason: format!("model.safetensors does not fit config.json: {problem}"),
            });
        }
        Ok(Self {
            config: found.config,
            vocabulary: found.vocabulary,
            pieces,
            step: found.step,
            device: device.clone(),
            model,
        })
    }

    /// Model and heads with the first weights of the run's seed.
    ///
    /// # Errors
    /// As building the model.
    pub fn untrained(&self) -> Result<System, VlpError> {
        let fresh = System::new(&self.config, &self.vocabulary, &self.pieces, &self.device)?;
        let seed = self.config.seed;
        Ok(match fresh {
            System::E2eVlp(own) => System::E2eVlp(initialise(own, seed)),
            System::Soho(own) => System::Soho(initialise(own, seed)),
        })
    }

    /// Model and heads.
    pub fn system(&self) -> &System {
        &self.model
    }
}
