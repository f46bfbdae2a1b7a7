use crate::{DataError, Label, LabelSpace, Object, Sample, Source};

/// A [`Source`] of samples held in memory.
///
/// ```
/// use vlp_data::{Image, InMemorySource, LabelSpace, Sample, Source};
///
/// let sample = Sample {
///     key: 7,
///     name: "gray.png".into(),
///     image: Image::filled(8, 6, [128; 3]),
///     second_image: None,
///     captions: vec!["a gray image".into()],
///     objects: None,
///     label: None,
///     record: None,
/// };
/// let source = InMemorySource::new("one image", LabelSpace::default(), vec![sample]);
/// assert_eq!((source.len(), source.key(0), source.size(0)), (1, 7, (8, 6)));
/// assert!(source.load(1).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct InMemorySource {
    name: String,
    labels: LabelSpace,
    samples: Vec<Sample>,
}

impl InMemorySource {
    /// A source of `samples` whose objects refer to `labels`.
    pub fn new(name: impl Into<String>, labels: LabelSpace, samples: Vec<Sample>) -> Self {
        Self {
            name: name.into(),
            labels,
            samples,
        }
    }

    fn sample(&self, index: usize) -> Result<&Sample, DataError> {
        self.samples.get(index).ok_or_else(|| DataError::Index {
            name: self.name.clone(),
            index,
            len: self.samples.len(),
        })
    }
}

impl Source for InMemorySource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        self.samples.get(index).map_or(0, |sample| sample.key)
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.samples
            .get(index)
            .map_or((0, 0), |sample| (sample.image.width, sample.image.height))
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(self.sample(index)?.captions.clone())
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        Ok(self.sample(index)?.label.clone())
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        Ok(self.sample(index)?.objects.clone())
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.sample(index).cloned()
    }
}
