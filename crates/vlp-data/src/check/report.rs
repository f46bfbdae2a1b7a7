use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Spread;
use crate::Fault;

/// Most faults, groups of duplicates and shared images that are listed; more are only counted.
pub const MAX_LISTED: usize = 10_000;
/// Most answers that are listed.
pub const MAX_ANSWERS: usize = 50;

/// What stands in a source, and what is wrong with it: the same for any number of threads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Name of the source.
    pub source: String,
    /// Whether the pictures were decoded; else their sizes are from annotations or from the files' first bytes, faults of
    /// pixels are not found, and duplicates are not looked for.
    pub decoded: bool,
    /// Samples.
    pub samples: usize,
    /// Different images, by [`key`](crate::Source::key).
    pub images: usize,
    /// Captions, questions, statements or hypotheses.
    pub captions: u64,
    /// Boxes, or `None` where no sample has boxes annotated.
    pub boxes: Option<u64>,
    /// Faults by kind.
    pub fault_counts: BTreeMap<FaultKind, u64>,
    /// The first faults: those of reading the annotations, then by sample.
    pub faults: Vec<Found>,
    /// Boxes of each class, most first; also those of which there is none.
    pub classes: Vec<Count>,
    /// Boxes with each attribute, most first; also those of which there is none.
    pub attributes: Vec<Count>,
    /// Captions of a sample.
    pub captions_per_sample: Spread,
    /// Words of a caption: what stands between spaces.
    pub caption_words: Spread,
    /// Boxes of a sample that has boxes annotated, be it none.
    pub boxes_per_sample: Spread,
    /// Width of the pictures in pixels, each image once. Of a sample's two pictures both where they are decoded, else the
    /// first.
    pub width: Spread,
    /// Height of the pictures in pixels.
    pub height: Spread,
    /// Width divided by height of the pictures.
    pub aspect: Spread,
    /// The most frequent answers, counting every annotator's.
    pub answers: Vec<Count>,
    /// Different answers.
    pub different_answers: usize,
    /// Samples by label: `true` and `false`, or `contradiction`, `neutral` and `entailment`; of answers how many have any.
    pub labels: Vec<Count>,
    /// Images of other keys with the same pixels.
    pub duplicates: Duplicates,
    /// What the other source has too; `None` where none was given.
    pub overlap: Option<Overlap>,
}

/// How often something occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What it is.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// A fault and its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The kind.
    pub kind: FaultKind,
    /// Where it is, and what is wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// A record that the reader left out, see [`ReadReport`](crate::ReadReport).
    Record,
    /// A picture that is missing, damaged or of an unknown kind, or a sample that cannot be read for another reason.
    Unreadable,
    /// A picture outside the limits.
    Limit,
    /// A picture of another size than its annotation or its first bytes say.
    Size,
    /// No caption, or one that has no word or is longer than 10,000 bytes.
    Caption,
    /// A box that is not finite, has no area, or reaches out of its picture by more than a pixel.
    Box,
    /// A class or attribute that the source's label space does not have.
    Category,
    /// A label without an answer, or with an empty one.
    Label,
}

impl FaultKind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Record => "records left out by the reader",
            Self::Unreadable => "pictures or samples unreadable",
            Self::Limit => "pictures outside the limits",
            Self::Size => "pictures of another size than said",
            Self::Caption => "captions missing, empty or too long",
            Self::Box => "boxes without area or outside",
            Self::Category => "classes or attributes unknown",
            Self::Label => "labels without an answer",
        }
    }
}

/// Images with the same pixels and different keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// Images too many: of each group all but one.
    pub images: u64,
    /// The groups, each by the numbers of its images' first samples, in their order.
    pub groups: Vec<Vec<usize>>,
}

/// What two sources have in common: of a training and a test set there should be nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// Name of the other source.
    pub other: String,
    /// Image keys that both have.
    pub keys: u64,
    /// The first of them, as sample numbers in this and in the other source.
    pub by_key: Vec<(usize, usize)>,
    /// Pictures whose pixels both have, whatever their keys; 0 where they were not decoded.
    pub pixels: u64,
    /// The first of them, as sample numbers in this and in the other source.
    pub by_pixels: Vec<(usize, usize)>,
    /// Images of the other source that could not be read and so not be compared.
    pub unreadable: u64,
}

impl CheckReport {
    /// Faults of all kinds.
    pub fn fault_count(&self) -> u64 {
        self.fault_counts.values().sum()
    }

    /// Whether there are no faults, no duplicates and nothing in common with the other source.
    pub fn is_clean(&self) -> bool {
        let apart = |overlap: &Overlap| overlap.keys == 0 && overlap.pixels == 0;
        self.fault_count() == 0
            && self.duplicates.images == 0
            && self.overlap.as_ref().is_none_or(apart)
    }
}
