use std::{collections::HashSet, path::Path, sync::Arc};

use crate::{
    DataError, Source, Subset,
    read::{KarpathySplit, karpathy::coco_ids},
};

/// COCO images that are tested on and so must never be trained on, whatever data set they come in.
///
/// COCO's own training split holds Karpathy's test images, and about half of Visual Genome is COCO's: pre-training on
/// either leaks the test set unless they are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldOut {
    ids: HashSet<u64>,
}

/// What [`HeldOut::remove`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Samples removed.
    pub samples: usize,
    /// Their images.
    pub images: usize,
    /// Samples kept of which no COCO id is known: the rule says nothing of them.
    pub unknown: usize,
}

impl HeldOut {
    /// The `val` and `test` images of Karpathy's `dataset_coco.json`: 10,000.
    ///
    /// # Errors
    /// When the file cannot be read, or an image of it lacks `cocoid` or `split`: a single image that cannot be read
    /// might be the one that leaks.
    pub fn from_karpathy(file: impl AsRef<Path>) -> Result<Self, DataError> {
        let ids = coco_ids(file.as_ref(), &KarpathySplit::HELD_OUT)?;
        Ok(Self { ids })
    }

    /// Number of images held out.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Whether an image of COCO is held out.
    pub fn contains(&self, coco_id: u64) -> bool {
        self.ids.contains(&coco_id)
    }

    /// The samples of a source without the held-out images, by [`Source::coco_id`], and how many were removed.
    ///
    /// # Errors
    /// None in practice: the samples kept are those of the source.
    pub fn remove(&self, source: &Arc<dyn Source>) -> Result<(Subset, Removed), DataError> {
        let (mut kept, mut removed) = (Vec::new(), Removed::default());
        let mut images = HashSet::new();
        for index in 0..source.len() {
            match source.coco_id(index) {
                Some(id) if self.contains(id) => {
                    removed.samples += 1;
                    images.insert(id);
                    continue;
                }
                Some(_) => {}
                None => removed.unknown += 1,
            }
            kept.push(index);
        }
        removed.images = images.len();
        let name = format!("{} without held-out images", source.name());
        Ok((Subset::new(source.clone(), kept, name)?, removed))
    }
}
