//! A trained model, read from a run folder.

use std::path::Path;

use burn::prelude::*;
use vlp_objectives::{ObjectiveSet, PretrainObjectives};
use vlp_text::WordPieceTokenizer;
use vlp_train::trainer::{EMA_FILE, MODEL_FILE};
use vlp_train::{Checkpoint, CheckpointStore, TrainError};

use super::folder::RunFolder;
use super::hf_folder;
use crate::config::{CheckpointChoice, RunConfig};
use crate::data::{Vocabulary, read_tokenizer_copy};
use crate::error::VlpError;
use crate::model::{AnyEncoder, AnyModel, trained_objectives};
use crate::weights::ParamLoader;

/// A trained model with its heads `O`, on a device without autodiff.
#[derive(Debug)]
pub struct TrainedModel<O: ObjectiveSet = PretrainObjectives> {
    /// Configuration of its run.
    pub config: RunConfig,
    /// Names of its outputs.
    pub vocabulary: Vocabulary,
    /// Its tokenizer.
    pub tokenizer: WordPieceTokenizer,
    /// Optimizer steps it was trained for.
    pub step: u64,
    /// The device that holds its weights.
    pub device: Device,
    model: AnyModel<O>,
    encoder: AnyEncoder,
}

impl TrainedModel {
    /// As [`open_checkpoint`](Self::open_checkpoint) with [`CheckpointChoice::Last`].
    ///
    /// # Errors
    /// As there.
    pub fn open(run: impl AsRef<Path>, device: &Device) -> Result<Self, VlpError> {
        Self::open_checkpoint(run, CheckpointChoice::Last, device)
    }

    /// The model of a checkpoint of `run`, with averaged weights (EMA) if the run has them; or that of a folder in Hugging
    /// Face's layout, which has no choice of checkpoints.
    ///
    /// # Errors
    /// [`VlpError::RunFolder`] for a folder that is not a run or has no checkpoint yet, [`VlpError::Train`] if the
    /// checkpoint does not exist or does not match the configuration (for example, a dictionary of another size).
    pub fn open_checkpoint(
        run: impl AsRef<Path>,
        checkpoint: CheckpointChoice,
        device: &Device,
    ) -> Result<Self, VlpError> {
        let run = run.as_ref();
        if hf_folder::is_hf_folder(run) {
            return match checkpoint {
                CheckpointChoice::Last => Self::open_hf_folder(run, device),
                other => Err(VlpError::RunFolder {
                    path: run.into(),
                    reason: format!("is an exported model without a checkpoint \"{other}\""),
                }),
            };
        }
        Self::open_with(run, checkpoint, device, trained_objectives)
    }

    fn open_hf_folder(folder: &Path, device: &Device) -> Result<Self, VlpError> {
        let hf_folder::HfModel {
            config,
            vocabulary,
            step,
            params,
        } = hf_folder::read(folder)?;
        let file = hf_folder::tokenizer_file(folder);
        let tokenizer = read_tokenizer_copy(&file, &vocabulary.tokenizer_sha256)?;
        let mut loader = ParamLoader::new(params);
        let model = AnyModel::new(&config, &vocabulary, &tokenizer, device)?;
        let model = model.load_params(&mut loader);
        let mismatch = loader.mismatches.first().cloned();
        let missing = || Some(format!("{} is missing", loader.missing.first()?));
        let unknown = || Some(format!("{} is unknown", loader.values.keys().next()?));
        if let Some(problem) = mismatch.or_else(missing).or_else(unknown) {
            return Err(VlpError::RunFolder {
                path: folder.into(),
                reason: format!("model.safetensors does not fit config.json: {problem}"),
            });
        }
        Ok(Self {
            config,
            vocabulary,
            tokenizer,
            step,
            device: device.clone(),
            encoder: AnyEncoder::new(&model, device),
            model,
        })
    }

    /// Model and heads with the initial weights of the run's seed.
    ///
    /// # Errors
    /// As building the model.
    pub fn initial(&self) -> Result<AnyModel, VlpError> {
        let model = AnyModel::new(
            &self.config,
            &self.vocabulary,
            &self.tokenizer,
            &self.device,
        )?;
        Ok(model.initialize(self.config.seed))
    }
}

impl<O: ObjectiveSet> TrainedModel<O> {
    /// As [`open_checkpoint`](TrainedModel::open_checkpoint), for a run of [`train_with`](crate::train_with): `build` builds the
    /// objectives that it was trained with.
    ///
    /// # Errors
    /// As there, and those of `build`.
    pub fn open_with(
        run: impl AsRef<Path>,
        checkpoint: CheckpointChoice,
        device: &Device,
        build: impl FnOnce(&RunConfig, &Vocabulary, &WordPieceTokenizer, &Device) -> Result<O, VlpError>,
    ) -> Result<Self, VlpError> {
        let (folder, config) = RunFolder::open(run.as_ref())?;
        let Some(vocabulary) = folder.read_json::<Vocabulary>(&folder.vocabulary())? else {
            return Err(VlpError::RunFolder {
                path: folder.path,
                reason: "has no vocabulary.json; resume the run to write it".into(),
            });
        };
        let tokenizer = read_tokenizer_copy(&folder.tokenizer(), &vocabulary.tokenizer_sha256)?;
        let checkpoint = read_checkpoint(&folder, checkpoint)?;
        let file = match config.train.ema_decay > 0.0 {
            true => EMA_FILE,
            false => MODEL_FILE,
        };
        let model = AnyModel::with_objectives(&config, &vocabulary, &tokenizer, device, build)?;
        let model = model.load(checkpoint.file(file)?);
        let model = model.map_err(|e| TrainError::Mismatch {
            path: checkpoint.path.clone(),
            reason: format!(
                "its weights do not fit config.toml, vocabulary.json and these objectives (`TrainedModel::open_with` opens a run of `train_with`): {e:?}"
            ),
        })?;
        Ok(Self {
            config,
            vocabulary,
            tokenizer,
            step: checkpoint.state.step,
            device: device.clone(),
            encoder: AnyEncoder::new(&model, device),
            model,
        })
    }

    /// Model and heads.
    pub fn model(&self) -> &AnyModel<O> {
        &self.model
    }

    /// The model, recorded as graphs on a GPU.
    pub fn encoder(&self) -> &AnyEncoder {
        &self.encoder
    }
}

fn read_checkpoint(folder: &RunFolder, choice: CheckpointChoice) -> Result<Checkpoint, VlpError> {
    let store = CheckpointStore::open(folder.checkpoints());
    if store.steps()?.is_empty() {
        return Err(VlpError::RunFolder {
            path: folder.path.clone(),
            reason: "has no checkpoint yet".into(),
        });
    }
    Ok(match choice {
        CheckpointChoice::Last => store.latest()?.0,
        CheckpointChoice::Best => store.best()?,
        CheckpointChoice::Step(step) => store.at_step(step)?,
    })
}
