use std::{fmt, sync::Arc};

use rand::RngExt;

use crate::{DataError, LabelSpace, Sample, Source, rng, source::wrapped_block_starts};

/// Some samples of a source, in a given order, as a source.
#[derive(Clone)]
pub struct Subset {
    source: Arc<dyn Source>,
    indices: Vec<usize>,
    name: String,
}

impl Subset {
    /// The samples `indices` of `source`; an index may occur twice.
    ///
    /// # Errors
    /// [`DataError::Index`] for an index outside the source.
    pub fn new(
        source: Arc<dyn Source>,
        indices: Vec<usize>,
        name: impl Into<String>,
    ) -> Result<Self, DataError> {
        let len = source.len();
        match indices.iter().find(|&&index| index >= len) {
            Some(&index) => Err(DataError::Index {
                name: source.name().into(),
                index,
                len,
            }),
            None => Ok(Self {
                source,
                indices,
                name: name.into(),
            }),
        }
    }

    /// Indices of the samples in the wrapped source.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl fmt::Debug for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subset")
            .field("name", &self.name)
            .field("source", &self.source.name())
            .field("indices", &self.indices)
            .finish()
    }
}

impl Source for Subset {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn labels(&self) -> &LabelSpace {
        self.source.labels()
    }

    fn label_spaces(&self) -> &[LabelSpace] {
        self.source.label_spaces()
    }

    fn inner(&self, index: usize) -> Option<(&dyn Source, usize)> {
        Some((self.source.as_ref(), *self.indices.get(index)?))
    }

    fn block_starts(&self) -> Vec<usize> {
        wrapped_block_starts(&self.source.block_starts(), self.indices.iter().copied())
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        match self.inner(index) {
            Some((source, index)) => source.load(index),
            None => Err(DataError::Index {
                name: self.name.clone(),
                index,
                len: self.len(),
            }),
        }
    }
}

/// Splits a source by image into `(validation, train)`; the first gets about `fraction` of the images.
///
/// The side of an image is a pure function of `seed` and its key. It does not change when other images are added or
/// removed, and all samples of an image are on the same side.
///
/// # Errors
/// [`DataError::Config`] if `fraction` is not between 0 and 1.
pub fn split_by_key(
    source: &Arc<dyn Source>,
    fraction: f64,
    seed: u64,
) -> Result<(Subset, Subset), DataError> {
    if !(0.0..=1.0).contains(&fraction) {
        let reason = format!("{fraction}; it must be between 0 and 1");
        return Err(DataError::Config {
            field: "split_by_key fraction",
            reason,
        });
    }
    let is_validation =
        |index: &usize| rng(seed, 0, source.key(*index), "split").random::<f64>() < fraction;
    let (validation, train) = (0..source.len()).partition(is_validation);
    let subset = |indices, split| {
        Subset::new(
            source.clone(),
            indices,
            format!("{} {split}", source.name()),
        )
    };
    Ok((subset(validation, "validation")?, subset(train, "train")?))
}
