use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    distribution::Distribution,
    issue::{Issue, IssueKind},
};

/// Maximum number of listed issues, groups of duplicates and shared images; the rest is only counted.
pub const MAX_LISTED: usize = 10_000;
/// Maximum number of listed answers.
pub const MAX_ANSWERS: usize = 50;

/// Contents and issues of a source; the same for any number of threads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Name of the source.
    pub source: String,
    /// Whether the images were decoded. If not, sizes come from annotations or image headers, damaged pixels go
    /// unnoticed, and duplicates are not searched for.
    pub decoded: bool,
    /// Number of samples.
    pub samples: usize,
    /// Number of distinct images, by [`key`](crate::Source::key).
    pub images: usize,
    /// Number of captions, questions, statements or hypotheses.
    pub captions: u64,
    /// Number of boxes; `None` if no sample has box annotations.
    pub boxes: Option<u64>,
    /// Number of issues by kind.
    pub issue_counts: BTreeMap<IssueKind, u64>,
    /// The first [`MAX_LISTED`] issues: records skipped by the reader, then by sample.
    pub issues: Vec<Issue>,
    /// Boxes per class, the most frequent class first, classes without a box included.
    pub classes: Vec<Count>,
    /// Boxes per attribute, the most frequent attribute first, attributes without a box included.
    pub attributes: Vec<Count>,
    /// Captions per sample.
    pub captions_per_sample: Distribution,
    /// Words per caption, separated by white space.
    pub caption_words: Distribution,
    /// Boxes per sample with box annotations.
    pub boxes_per_sample: Distribution,
    /// Width of each distinct image in pixels. The second image of a pair counts only if it was decoded.
    pub width: Distribution,
    /// Height of each distinct image in pixels.
    pub height: Distribution,
    /// Width divided by height of each distinct image.
    pub aspect: Distribution,
    /// The [`MAX_ANSWERS`] most frequent answers; each annotator's answer counts.
    pub answers: Vec<Count>,
    /// Number of distinct answers.
    pub different_answers: usize,
    /// Samples per label: `true` and `false`, or `contradiction`, `neutral` and `entailment`, or `with answers`.
    pub labels: Vec<Count>,
    /// Images with equal pixels and different keys.
    pub duplicates: Duplicates,
    /// Images shared with the other source; `None` without [`CheckOptions::other`](super::CheckOptions::other).
    pub overlap: Option<Overlap>,
}

/// A name and its number of occurrences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// The class, attribute, answer or label.
    pub name: String,
    /// Number of occurrences.
    pub count: u64,
}

/// Images with the same pixels and different keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// Number of redundant images: all but one per group.
    pub images: u64,
    /// Sample indices of each group's images, ascending.
    pub groups: Vec<Vec<usize>>,
}

/// Images that two sources share; a training and a test set should share none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Name of the other source.
    pub other: String,
    /// Number of image keys that both sources use for the same image: for equal pixels, or equal files if images were not
    /// decoded.
    pub keys: u64,
    /// The first of them, as sample indices in this and in the other source.
    pub by_key: Vec<(usize, usize)>,
    /// Number of image keys that the two sources use for different images, which are not shared.
    pub different_images: u64,
    /// Number of images with equal pixels, whatever their keys; 0 if images were not decoded.
    pub pixels: u64,
    /// The first of them, as sample indices in this and in the other source.
    pub by_pixels: Vec<(usize, usize)>,
    /// Images of the other source that were unreadable and so not compared.
    pub unreadable: u64,
}

impl CheckReport {
    /// Number of issues of all kinds.
    pub fn issue_count(&self) -> u64 {
        self.issue_counts.values().sum()
    }

    /// Whether there are no issues, no duplicates and no overlap with the other source.
    pub fn is_clean(&self) -> bool {
        let disjoint = |overlap: &Overlap| overlap.keys == 0 && overlap.pixels == 0;
        self.issue_count() == 0
            && self.duplicates.images == 0
            && self.overlap.as_ref().is_none_or(disjoint)
    }
}
