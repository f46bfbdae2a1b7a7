//! `eval` and `checkpoint`: evaluation on the validation split, and checkpoints.

use serde::{Deserialize, Serialize};

/// Evaluation on the validation split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EvalConfig {
    /// Maximum number of validation examples.
    pub examples: usize,
    /// Number of steps between evaluations; 0 evaluates only at the end.
    pub every: u64,
    /// Number of images on the report page.
    pub images: usize,
    /// Number of validation images among which retrieval is measured, by the ITM score of all image-text pairs (whose
    /// cost is quadratic), or by the contrastive head if there is no ITM head; 0 for none.
    #[serde(default)]
    pub retrieval: usize,
    /// Number of captions of each image that are searched; 5 in the protocols of COCO and Flickr30k.
    #[serde(default = "one")]
    pub retrieval_texts: usize,
    /// Number of folds of consecutive images over which retrieval metrics are averaged: 5 for COCO's "1k" protocol on 5,000
    /// images.
    #[serde(default = "one")]
    pub folds: usize,
    /// With a contrastive head, compute the ITM score only of this many candidates per image and per text; 0 for all pairs.
    #[serde(default)]
    pub rerank: usize,
}

fn one() -> usize {
    1
}

/// When checkpoints are written, and which one is the best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CheckpointConfig {
    /// Number of steps between checkpoints; 0 writes one only at the end.
    pub every: u64,
    /// Number of newest checkpoints kept, in addition to the best one.
    pub keep: usize,
    /// Validation metric by which the best checkpoint is chosen, such as `itm/accuracy` or `vqa/accuracy`. A checkpoint
    /// is compared if the model was evaluated at its step (`eval.every`). If the objectives do not have the metric of
    /// the preset or task, their first one is used.
    pub best_by: String,
    /// Whether a file or a flag set `best_by`, beyond preset and task; if not, another metric is used where it does not
    /// exist.
    #[serde(skip)]
    pub best_by_is_set: bool,
}
