//! What an index was made of, and by what.

use serde::{Deserialize, Serialize};

/// The model that made the embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunIdentity {
    /// Folder of the run, where a search looks for it.
    pub path: String,
    /// Preset that its configuration started from.
    pub preset: String,
    /// Optimizer steps it was trained for.
    pub step: u64,
    /// A hash of its weights and of what else its embeddings depend on.
    pub fingerprint: String,
    /// Width of its embeddings.
    pub dim: usize,
}

/// What an index is made of. A writer that is given the same samples in the same segments writes the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexHeader {
    /// The model.
    pub run: RunIdentity,
    /// The settings by which its source is opened, as `key=value`.
    pub data: Vec<String>,
    /// Samples of the source.
    pub samples: usize,
    /// Maximum width and height of the thumbnails in pixels; 0 for an index without thumbnails.
    pub thumbnail_side: usize,
}

impl RunIdentity {
    /// One line that describes the run, for messages.
    pub fn describe(&self) -> String {
        let start = self.fingerprint.get(..12).unwrap_or(&self.fingerprint);
        format!("{}, {} steps, fingerprint {start}", self.preset, self.step)
    }
}

impl IndexHeader {
    /// In words, the first difference between this index and `wanted`; `None` if there is none. Where the run lies makes none.
    pub(crate) fn difference(&self, wanted: &Self) -> Option<String> {
        let (run, other) = (&self.run, &wanted.run);
        if run.fingerprint != other.fingerprint || run.dim != other.dim {
            return Some(format!(
                "it is an index of another run or checkpoint ({}) than this one ({})",
                run.describe(),
                other.describe()
            ));
        }
        if self.data != wanted.data {
            return Some(format!(
                "it is an index of {}, not of {}",
                self.data.join(", "),
                wanted.data.join(", ")
            ));
        }
        if self.samples != wanted.samples {
            return Some(format!(
                "its source had {} samples when it was begun and has {} now",
                self.samples, wanted.samples
            ));
        }
        (self.thumbnail_side != wanted.thumbnail_side).then(|| {
            format!(
                "its thumbnails have {} pixels, not {}",
                self.thumbnail_side, wanted.thumbnail_side
            )
        })
    }
}
