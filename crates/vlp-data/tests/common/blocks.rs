//! A source of blocks without images, for the tests of the batch sampler.

use vlp_data::{DataError, LabelSpace, Sample, Source};

/// Samples in blocks; nothing can be loaded.
#[derive(Clone)]
pub(crate) struct Blocks {
    pub(crate) len: usize,
    pub(crate) starts: Vec<usize>,
    labels: LabelSpace,
}

impl Blocks {
    pub(crate) fn new(len: usize, starts: Vec<usize>) -> Self {
        let labels = LabelSpace::default();
        Self {
            len,
            starts,
            labels,
        }
    }
}

impl Source for Blocks {
    fn name(&self) -> &str {
        "blocks"
    }

    fn len(&self) -> usize {
        self.len
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        index as u64
    }

    fn size(&self, index: usize) -> (usize, usize) {
        (20 + index * 37 % 90, 20 + index * 53 % 70)
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        Err(DataError::Decode {
            name: index.to_string(),
            reason: "no image".into(),
        })
    }

    fn block_starts(&self) -> Vec<usize> {
        self.starts.clone()
    }
}
