//! `data`: sources and batches.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vlp_data::{AnswerVocabulary, CaptionChoice, NegativeFrom, ResizeRule};
use vlp_scenes::ScenesConfig;

use super::source_kind::SourceKind;
use crate::error::VlpError;

/// Data sources and batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DataConfig {
    /// Training data: `scenes` (generated), `coco:DIR` or `coco:DIR@SPLIT`, `vqa:DIR@SPLIT`, `nlvr2:FILE`,
    /// `snli-ve:FILE`, `karpathy:FILE` or `karpathy:FILE@SPLIT`, `karpathy-test:FILE`, `json:FILE`, `genome:DIR`, or
    /// `shards:PATH` (a folder or a URL).
    #[serde(default = "scenes")]
    pub source: String,
    /// Source of the validation data; if absent, the `test` split of generated scenes, or a fraction of any other `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Further training sources, mixed with `source`.
    #[serde(default)]
    pub mix: Vec<MixConfig>,
    /// Karpathy's `dataset_coco.json`, whose validation and test images are excluded from every training source. By default
    /// the file of that name next to the source, if it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub karpathy: Option<PathBuf>,
    /// Folder in which the index of annotation files is cached between runs; rebuilt in every run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<PathBuf>,
    /// For shards read over a network: read shard by shard and shuffle within windows of this many samples; 0 shuffles all.
    #[serde(default)]
    pub window: usize,
    /// 1, or `train.accumulate`: each micro-batch of a step then reads its own shards, so that a shard is read by one
    /// process in an epoch. Needs `window`, which applies to each lane.
    #[serde(default = "one")]
    pub lanes: usize,
    /// Folder of the images; by default that of the source. With splits, its subfolder `SPLIT` is searched too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Task of generated scenes; that of other sources is given by their kind.
    #[serde(default)]
    pub task: TaskKind,
    /// Minimum number of training questions for which an answer must be correct to be in the vocabulary; 9 in VQA v2.
    /// Questions without such an answer are trained on, with a score of 0 for every answer (SOHO, bottom-up attention);
    /// LXMERT and ViLT leave them out.
    #[serde(default = "min_answers")]
    pub min_answers: usize,
    /// File of the answer vocabulary, instead of the answers of the training questions: `trainval_label2ans.json`,
    /// `trainval_ans2label.json` or both in one. Published results on VQA v2's validation set are for the 3,129 answers
    /// of train and val; training on train alone gives fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<PathBuf>,
    /// Put the text of SNLI-VE's premise before the hypothesis, separated by `[SEP]`; both must fit into
    /// `data.max_text_len`. Both have token type 0, where Hugging Face gives the second text of a pair type 1. In the papers
    /// the image alone is the premise.
    #[serde(default)]
    pub premise: bool,
    /// Visual Genome annotates many objects more than once: boxes of one class in an image with at least this intersection over
    /// union are one object, with the attributes of all. A value above 1 keeps all boxes. The paper does not mention
    /// duplicates.
    #[serde(default = "duplicate_iou")]
    pub duplicate_iou: f64,
    /// Pair every image of a batch with every text, as SOHO trains retrieval (t = 24).
    #[serde(default)]
    pub all_pairs: bool,
    /// Replace all images by zeros, to measure what texts alone reveal.
    #[serde(default)]
    pub hide_images: bool,
    /// Number of images in a batch; 32 in E2E-VLP.
    pub batch_size: usize,
    /// Number of threads that load and prepare images. Batches do not depend on it.
    pub workers: usize,
    /// WordPiece vocabulary: `scenes`, `bert-base-uncased` (30,522 tokens), or the path of a `vocab.txt` or of a BERT
    /// `tokenizer.json`.
    pub tokenizer: String,
    /// Maximum length of a text in tokens, `[CLS]` and `[SEP]` included; 40 in E2E-VLP, 16 in SOHO.
    pub max_text_len: usize,
    /// Number of texts of each image in a batch; 1 in E2E-VLP, 4 in SOHO.
    #[serde(default = "one")]
    pub texts_per_image: usize,
    /// Which caption of another image is used for negative pairs: a `random` one, or the `first`, as in SOHO's released
    /// code.
    #[serde(default)]
    pub negative_caption: CaptionChoice,
    /// Samples that captions of negative pairs come from: the whole `dataset`, or the `window` of the batch, whose
    /// shards are read anyway.
    #[serde(default)]
    pub negative_from: NegativeFrom,
    /// Batch images of similar shapes together, which reduces padding.
    pub bucket_by_shape: bool,
    /// Height and width of a batch, in pixels, are padded to multiples of this; 1 in DETR, 32 in SOHO.
    #[serde(default = "one")]
    pub pad_multiple: usize,
    /// Fraction of unreadable samples, `0..=1`, above which a run stops.
    pub max_bad_fraction: f64,
    /// Fraction of the images of `source`, above 0 and below 1, used for validation instead of training, chosen by image id.
    /// Not used for generated scenes.
    pub validation_fraction: f64,
    /// Size of training images.
    pub resize: ResizeRule,
    /// Size of validation images; as in training if absent. DETR: short side 800, long side at most 1333.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_resize: Option<ResizeRule>,
    /// Generated scenes.
    #[serde(default)]
    pub scenes: ScenesConfig,
}

fn min_answers() -> usize {
    AnswerVocabulary::MIN_COUNT
}

fn duplicate_iou() -> f64 {
    0.9
}

fn one() -> usize {
    1
}

fn scenes() -> String {
    "scenes".into()
}

impl DataConfig {
    /// Parses [`Self::source`].
    ///
    /// # Errors
    /// [`VlpError::Config`] for an unknown kind.
    pub fn kind(&self) -> Result<SourceKind, VlpError> {
        SourceKind::parse("data.source", &self.source)
    }
}

/// A further training source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MixConfig {
    /// The source, as `data.source`.
    pub source: String,
    /// Number of times each of its samples occurs in an epoch, above 0; a value below 1 takes that fraction of them. The
    /// occurrences in an epoch are equal.
    #[serde(default = "one_time")]
    pub weight: f64,
    /// Train on its boxes too. If its classes or attributes are not those of another source, as with COCO and Visual Genome,
    /// detection has a class and an attribute head for them, which only its images train.
    #[serde(default)]
    pub boxes: bool,
}

fn one_time() -> f64 {
    1.0
}

/// Task of generated scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
