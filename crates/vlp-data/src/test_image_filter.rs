use std::{collections::HashSet, path::Path, sync::Arc};

use crate::{
    DataError, Source, Subset,
    read::{KarpathySplit, karpathy::coco_ids},
};

/// COCO images of the evaluation splits, which must not be trained on in any data set.
///
/// COCO's own training split contains images of Karpathy's test split, and about half of Visual Genome's images are COCO's:
/// pre-training on either leaks the test set unless they are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestImageFilter {
    coco_ids: HashSet<u64>,
}

/// Counts of [`TestImageFilter::remove`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemovedSamples {
    /// Number of removed samples.
    pub samples: usize,
    /// Number of their distinct images.
    pub images: usize,
    /// Number of remaining samples whose COCO id is unknown, so that they could not be filtered.
    pub unknown: usize,
}

impl TestImageFilter {
    /// The `val` and `test` images of Karpathy's `dataset_coco.json`: 10,000.
    ///
    /// # Errors
    /// If the file is unreadable, or one of its images lacks `cocoid` or `split`: an image that is not parsed might be one
    /// that leaks.
    pub fn from_karpathy(file: impl AsRef<Path>) -> Result<Self, DataError> {
        let coco_ids = coco_ids(file.as_ref(), &KarpathySplit::EVALUATION)?;
        Ok(Self { coco_ids })
    }

    /// Number of images to remove.
    pub fn len(&self) -> usize {
        self.coco_ids.len()
    }

    /// Whether there are no images to remove.
    pub fn is_empty(&self) -> bool {
        self.coco_ids.is_empty()
    }

    /// Whether an image is to be removed.
    pub fn contains(&self, coco_id: u64) -> bool {
        self.coco_ids.contains(&coco_id)
    }

    /// The samples of `source` without those whose [`Source::coco_id`] is an evaluation image.
    ///
    /// # Errors
    /// None in practice: the indices of the subset are those of the source.
    pub fn remove(&self, source: &Arc<dyn Source>) -> Result<(Subset, RemovedSamples), DataError> {
        let (mut indices, mut removed) = (Vec::new(), RemovedSamples::default());
        let mut removed_images = HashSet::new();
        for index in 0..source.len() {
            match source.coco_id(index) {
                Some(id) if self.contains(id) => {
                    removed.samples += 1;
                    removed_images.insert(id);
                    continue;
                }
                Some(_) => {}
                None => removed.unknown += 1,
            }
            indices.push(index);
        }
        removed.images = removed_images.len();
        let name = format!("{} without evaluation images", source.name());
        Ok((Subset::new(source.clone(), indices, name)?, removed))
    }
}
