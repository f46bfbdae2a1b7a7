use std::sync::Arc;

use rand::RngExt;

use crate::{DataError, Encoded, Label, LabelSpace, Object, Sample, Source, order::runs, rng};

/// Some samples of a source, in a given order, as a source.
pub struct Subset {
    source: Arc<dyn Source>,
    indices: Vec<usize>,
    name: String,
}

impl Subset {
    /// The samples `indices` of `source`; a number may stand twice.
    ///
    /// # Errors
    /// [`DataError::Index`] for a number outside the source.
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

    /// Numbers of the samples in the source they come from.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    fn inner(&self, index: usize) -> Result<usize, DataError> {
        self.indices
            .get(index)
            .copied()
            .ok_or_else(|| DataError::Index {
                name: self.name.clone(),
                index,
                len: self.indices.len(),
            })
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

    fn key(&self, index: usize) -> u64 {
        self.indices.get(index).map_or(0, |&at| self.source.key(at))
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.indices
            .get(index)
            .map_or((0, 0), |&at| self.source.size(at))
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        self.source.captions(self.inner(index)?)
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        self.source.label(self.inner(index)?)
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        self.source.objects(self.inner(index)?)
    }

    fn coco_id(&self, index: usize) -> Option<u64> {
        self.source.coco_id(*self.indices.get(index)?)
    }

    fn encoded(&self, index: usize) -> Result<Option<Encoded>, DataError> {
        self.source.encoded(self.inner(index)?)
    }

    fn blocks(&self) -> Vec<usize> {
        runs(&self.source.blocks(), self.indices.iter().copied())
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.source.load(self.inner(index)?)
    }
}

/// Splits a source in two by image: `(held out, rest)`, of which the first gets about `fraction` of the images.
///
/// An image's side is a pure function of (`seed`, key), so it stays where it is when images come or go, all samples of
/// one image stay together, and a held-out image never trains.
///
/// # Errors
/// [`DataError::Config`] when `fraction` is not between 0 and 1.
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
    let held_out =
        |index: &usize| rng(seed, 0, source.key(*index), "split").random::<f64>() < fraction;
    let (held, rest) = (0..source.len()).partition(held_out);
    let subset =
        |indices, part| Subset::new(source.clone(), indices, format!("{} {part}", source.name()));
    Ok((subset(held, "held out")?, subset(rest, "rest")?))
}
