//! The configuration of a run: a preset, overridden by a file, overridden by single values.

mod checkpoint_choice;
mod data;
mod eval;
mod explain;
mod finetune;
mod invalid_value;
mod limits;
mod model;
mod other_source;
mod presets;
mod resolve;
mod source_kind;
mod suggest;
#[cfg(test)]
mod tests;
mod used_keys;
mod validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vlp_objectives::ObjectivesConfig;
use vlp_train::TrainerConfig;
use vlp_train::atomic_file::sha256_hex;

use crate::error::VlpError;

pub use checkpoint_choice::CheckpointChoice;
pub use data::{DataConfig, MixConfig, TaskKind};
pub use eval::{CheckpointConfig, EvalConfig};
pub use explain::explain;
pub use finetune::{TASKS, finetune};
pub use model::ModelConfig;
pub use other_source::other_source;
pub use presets::{PRESETS, preset_names};
pub use resolve::{Sources, overlay, resolve};
pub use source_kind::SourceKind;
pub(crate) use suggest::suggest;
pub use used_keys::{check_source_keys, check_used};

/// All values that determine what a run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunConfig {
    /// Preset that the values started from; a file may name one.
    pub preset: String,
    /// Seed of weights, data order, captions, masks and dropout.
    pub seed: u64,
    /// Folder of the run whose weights this one starts from (`vlp finetune` sets it); random init if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Checkpoint of that run: `last`, `best`, or a step as a string.
    #[serde(default)]
    pub from_checkpoint: CheckpointChoice,
    /// Checkpoints of other projects to start from (`--weights FILE`), `.safetensors` or `.pth`, loaded in this order: a
    /// torchvision ResNet, a Hugging Face BERT, a DETR (Facebook's or Hugging Face's names), the released SOHO. A model of
    /// any 80 classes takes the rows of COCO's 80 from DETR's class head, in order of their ids, whatever its classes are.
    #[serde(default)]
    pub weights: Vec<PathBuf>,
    /// Settings of your own objectives; part of the hash that a resumed run must match, but not read by vlp.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub extra: toml::Table,
    /// Data sources and batches.
    pub data: DataConfig,
    /// The model.
    pub model: ModelConfig,
    /// The objectives; one without a table is switched off.
    pub objectives: ObjectivesConfig,
    /// Steps, optimizer, schedule.
    pub train: TrainerConfig,
    /// Evaluation on the validation split.
    pub eval: EvalConfig,
    /// When checkpoints are written, and which one is the best.
    pub checkpoint: CheckpointConfig,
}

impl RunConfig {
    /// SHA-256 of the values that determine the weights: a run is resumed only with the same values.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the configuration cannot be written as TOML.
    pub fn fingerprint(&self) -> Result<String, VlpError> {
        // Recomputation only changes the order of sums: a run that ran out of memory may be resumed with it.
        let mut config = self.clone();
        config.model = config.model.without_recompute();
        // Recorded steps have the same results.
        config.train.capture = false;
        let text = toml::to_string(&config).map_err(|e| VlpError::Config(e.to_string()))?;
        Ok(sha256_hex(text.as_bytes()))
    }
}
