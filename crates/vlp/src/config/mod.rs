//! The configuration of a run: a preset, then a file, then single values, each over the last.

mod explain;
mod finetune;
mod model;
mod presets;
mod resolve;
mod validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vlp_data::{AnswerVocabulary, CaptionChoice};
use vlp_data::{ResizeRule, ScenesConfig};
use vlp_models::ObjectivesConfig;
use vlp_train::TrainerConfig;

pub use explain::explain;
pub use finetune::{TASKS, finetune};
pub use model::ModelConfig;
pub use presets::{PRESETS, preset_names};
pub use resolve::{Sources, overlay, resolve};

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
    /// Folder of the run whose weights this one starts from; from its seed where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Checkpoints of others to start from, `.safetensors` or `.pth`, in this order: a torchvision ResNet, a Hugging
    /// Face BERT, a DETR (Facebook's or Hugging Face's names), the released SOHO.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<PathBuf>,
    /// Settings of objectives of your own; part of the run's identity, not read by vlp.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub extra: toml::Table,
}

/// What is read, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// What is read; see [`SourceKind`].
    #[serde(default = "scenes")]
    pub source: String,
    /// What is held out, where it is a source of its own; else a share of `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heldout: Option<String>,
    /// Further sources to learn from, mixed with `source` by their weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<MixConfig>,
    /// Karpathy's `dataset_coco.json`: its validation and test images are kept out of training, whatever source they come in.
    /// By default that file beside the source, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karpathy: Option<PathBuf>,
    /// Folder where the index of annotation files is kept from run to run; made anew each time where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<PathBuf>,
    /// For shards that are read over a network: go from shard to shard and shuffle within so many samples; 0 shuffles all.
    #[serde(default, skip_serializing_if = "none")]
    pub window: usize,
    /// Folder of the pictures of sources that name a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// What is asked about generated scenes; other sources ask what they ask.
    #[serde(default)]
    pub task: TaskKind,
    /// Questions that an answer must be right for to be one of the vocabulary; 9 in VQA v2.
    #[serde(default = "nine")]
    pub min_answers: usize,
    /// Put the premise of `snli-ve:` as text before the hypothesis, with `[SEP]` between; `data.max_text` must have room for
    /// both. Not as in the papers, which have the picture alone for a premise.
    #[serde(default, skip_serializing_if = "off")]
    pub premise: bool,
    /// Put every picture of a batch beside every text, as SOHO trains retrieval.
    #[serde(default)]
    pub all_pairs: bool,
    /// Hide the pictures from the model, to learn what the texts alone give away.
    #[serde(default)]
    pub blind: bool,
    /// Pictures in a batch; 32 in E2E-VLP.
    pub batch_size: usize,
    /// Threads that load and prepare pictures.
    pub workers: usize,
    /// Word pieces: `scenes`, `bert-base-uncased`, or the path of a `vocab.txt` or of a BERT `tokenizer.json`.
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

fn nine() -> usize {
    AnswerVocabulary::MIN_COUNT
}

fn one() -> usize {
    1
}

// Values as they were before a key was known are not written: runs of earlier versions resume.
fn none(value: &usize) -> bool {
    *value == 0
}

fn off(value: &bool) -> bool {
    !value
}

fn single(value: &usize) -> bool {
    *value == 1
}

fn scenes() -> String {
    "scenes".into()
}

/// A further source of a mixture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixConfig {
    /// What is read, as `data.source`.
    pub source: String,
    /// How many times an epoch has each of its samples, above 0; a fraction takes a share of them.
    #[serde(default = "whole")]
    pub weight: f64,
    /// Learn its boxes too: only where its classes are those of the first source.
    #[serde(default)]
    pub boxes: bool,
}

fn whole() -> f64 {
    1.0
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
    /// Held-out pictures among which retrieval is measured by the ITM score, every picture with every text, or by the
    /// contrastive head where there is none; 0 for none.
    #[serde(default)]
    pub retrieval: usize,
    /// Captions of each picture that are searched; 5 in the protocols of COCO and Flickr30k.
    #[serde(default = "one", skip_serializing_if = "single")]
    pub retrieval_texts: usize,
    /// Runs of consecutive pictures that are searched apart, their figures averaged: 5 for COCO's "1k" of 5,000.
    #[serde(default = "one", skip_serializing_if = "single")]
    pub folds: usize,
    /// With a contrastive head, match only so many of its best for each picture and each text; 0 matches all pairs.
    #[serde(default, skip_serializing_if = "none")]
    pub rerank: usize,
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

/// What generated scenes ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// Captions and boxes.
    #[default]
    Captions,
    /// Questions with answers.
    Vqa,
    /// Statements about two scenes.
    Nlvr2,
    /// Hypotheses.
    SnliVe,
}

/// Where a source points: `scenes`, or `KIND:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Generated scenes.
    Scenes,
    /// `coco:DIR`: COCO's annotation files and pictures.
    Coco(PathBuf),
    /// `vqa:DIR/SPLIT`: VQA v2's questions and annotations of a split, such as `train2014`.
    Vqa(PathBuf),
    /// `nlvr2:FILE`: JSON lines; pictures in `data.images`.
    Nlvr2(PathBuf),
    /// `snli-ve:FILE`: JSON lines; pictures in `data.images`.
    SnliVe(PathBuf),
    /// `karpathy:FILE`: training splits of `dataset_coco.json` or `dataset_flickr30k.json`; pictures in `data.images`.
    Karpathy(PathBuf),
    /// `karpathy-test:FILE`: its test split.
    KarpathyTest(PathBuf),
    /// `json:FILE`: pictures with captions, boxes or questions in plain JSON or JSON lines.
    Json(PathBuf),
    /// `genome:DIR`: Visual Genome's `image_data.json`, `region_descriptions.json`, `objects.json`, `attributes.json`, and
    /// the vocabularies `objects_vocab.txt` and `attributes_vocab.txt`.
    Genome(PathBuf),
    /// `shards:PLACE`: what `vlp data pack` wrote, or webdataset tar files, in a folder or at a URL.
    Shards(PathBuf),
}

impl SourceKind {
    /// Parses a source; `key` is named where it is wrong.
    pub fn parse(key: &str, source: &str) -> Result<Self, crate::VlpError> {
        let make: fn(PathBuf) -> Self = match source.split_once(':').map(|(kind, _)| kind) {
            None if source == "scenes" => return Ok(Self::Scenes),
            Some("coco") => Self::Coco,
            Some("vqa") => Self::Vqa,
            Some("nlvr2") => Self::Nlvr2,
            Some("snli-ve") => Self::SnliVe,
            Some("karpathy") => Self::Karpathy,
            Some("karpathy-test") => Self::KarpathyTest,
            Some("json") => Self::Json,
            Some("genome") => Self::Genome,
            Some("shards") => Self::Shards,
            _ => |_| Self::Scenes,
        };
        match source.split_once(':') {
            Some((_, path)) if !path.is_empty() && make(PathBuf::new()) != Self::Scenes => {
                Ok(make(path.into()))
            }
            _ => Err(crate::VlpError::Config(format!(
                "{key} = \"{source}\": use \"scenes\", \"coco:DIR\", \"vqa:DIR/SPLIT\", \"nlvr2:FILE\", \"snli-ve:FILE\", \"karpathy:FILE\", \"karpathy-test:FILE\", \"json:FILE\", \"genome:DIR\" or \"shards:PLACE\""
            ))),
        }
    }
}

impl DataConfig {
    /// Parses [`Self::source`].
    pub fn kind(&self) -> Result<SourceKind, crate::VlpError> {
        SourceKind::parse("data.source", &self.source)
    }
}

impl RunConfig {
    /// Hash of what decides the weights: a run resumes only under the same.
    pub fn fingerprint(&self) -> Result<String, crate::VlpError> {
        // Where a layer's insides come from in the backward pass changes weights by the order of sums alone: a run that
        // ran out of memory may go on with less.
        let mut own = self.clone();
        own.model = own.model.keeping();
        let text = toml::to_string(&own).map_err(|e| crate::VlpError::Config(e.to_string()))?;
        Ok(vlp_train::files::sha256(text.as_bytes()))
    }
}
