//! The configuration of a run: a preset, then a file, then single values, each over the last.

mod explain;
mod model;
mod presets;
mod resolve;
mod validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vlp_data::CaptionChoice;
use vlp_data::{ResizeRule, ScenesConfig};
use vlp_models::ObjectivesConfig;
use vlp_train::TrainerConfig;

pub use explain::explain;
pub use model::ModelConfig;
pub use presets::{PRESETS, preset_names};
pub use resolve::{Sources, resolve};

/// Everything that decides what a run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Preset that the values started from.
    pub preset: String,
    /// Seed of weights, order, masks and dropout.
    pub seed: u64,
    /// What is read, and how.
    pub data: DataConfig,
    /// The model.
    pub model: ModelConfig,
    /// The objectives; one left out is switched off.
    pub objectives: ObjectivesConfig,
    /// Steps, rates, schedule.
    pub train: TrainerConfig,
    /// Held-out evaluation.
    pub eval: EvalConfig,
    /// When checkpoints are written.
    pub checkpoint: CheckpointConfig,
    /// Settings of objectives of your own; part of the run's identity, not read by vlp.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub extra: toml::Table,
}

/// What is read, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `scenes` for generated ones, or `coco:DIR` for COCO's annotation files and pictures.
    #[serde(default = "scenes")]
    pub source: String,
    /// Pictures in a batch; 32 in E2E-VLP.
    pub batch_size: usize,
    /// Threads that load and prepare pictures.
    pub workers: usize,
    /// Word pieces: `scenes`, `bert-base-uncased`, or the path of a vocabulary file.
    pub pieces: String,
    /// Longest text in tokens; 40 in E2E-VLP, 16 in SOHO.
    pub max_text: usize,
    /// Texts of each picture in a batch; 1 in E2E-VLP, 4 in SOHO.
    #[serde(default = "one")]
    pub texts: usize,
    /// Which caption of another picture is taken: `random`, or `first` as in SOHO's released code.
    #[serde(default)]
    pub foreign_caption: CaptionChoice,
    /// Batch pictures of near shapes together, to pad little.
    pub bucket_by_shape: bool,
    /// Batches are padded to sides that are multiples of this; 1 in DETR, 32 in SOHO.
    #[serde(default = "one")]
    pub pad_multiple: usize,
    /// Share of unreadable samples above which a run stops.
    pub max_bad_share: f64,
    /// Share of the pictures of a `coco:` source kept out of training for evaluation.
    pub heldout_share: f64,
    /// Size of training pictures.
    pub resize: ResizeRule,
    /// Size of held-out pictures; as in training where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_resize: Option<ResizeRule>,
    /// Generated scenes.
    #[serde(default)]
    pub scenes: ScenesConfig,
}

fn one() -> usize {
    1
}

fn scenes() -> String {
    "scenes".into()
}

/// Held-out evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalConfig {
    /// Held-out examples, at most.
    pub examples: usize,
    /// Evaluate every so many steps; 0 only at the end.
    pub every: u64,
    /// Pictures on the report page.
    pub pictures: usize,
    /// Held-out pictures among which retrieval by the ITM score is measured, every picture with every one's caption;
    /// 0 for none.
    #[serde(default)]
    pub retrieval: usize,
}

/// When checkpoints are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Every so many steps; 0 only at the end.
    pub every: u64,
    /// Newest ones kept, besides the best.
    pub keep: usize,
}

/// Where a `data.source` points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Generated scenes.
    Scenes,
    /// A folder with COCO's annotation files and pictures.
    Coco(PathBuf),
}

impl DataConfig {
    /// Parses [`Self::source`].
    pub fn kind(&self) -> Result<SourceKind, crate::VlpError> {
        match self.source.split_once(':') {
            None if self.source == "scenes" => Ok(SourceKind::Scenes),
            Some(("coco", dir)) if !dir.is_empty() => Ok(SourceKind::Coco(dir.into())),
            _ => Err(crate::VlpError::Config(format!(
                "data.source = \"{}\": use \"scenes\" or \"coco:DIR\" (a folder with annotations/ and pictures)",
                self.source
            ))),
        }
    }
}

impl RunConfig {
    /// Hash of what decides the weights: a run resumes only under the same.
    pub fn fingerprint(&self) -> Result<String, crate::VlpError> {
        let text = toml::to_string(self).map_err(|e| crate::VlpError::Config(e.to_string()))?;
        Ok(vlp_train::files::sha256(text.as_bytes()))
    }
}
