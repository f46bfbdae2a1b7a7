use crate::{AnnotatedObject, DataError, EncodedImage, Label, LabelSpace, Object, Sample};

/// A set of samples with random access, shared by the loader's threads.
///
/// Only [`name`](Self::name), [`len`](Self::len), [`labels`](Self::labels) and [`load`](Self::load) are required. By default
/// the other methods delegate to the [`inner`](Self::inner) source if there is one, and load the whole sample otherwise;
/// sources of files override them to avoid decoding images.
pub trait Source: Send + Sync {
    /// Short name, for messages.
    fn name(&self) -> &str;

    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The classes and attributes of the objects; the first of [`label_spaces`](Self::label_spaces).
    fn labels(&self) -> &LabelSpace;

    /// All sets of classes and attributes of the objects: more than one in a [`Mixture`](crate::Mixture) of data sets with
    /// different ones. A wrapper of sources that may have several must return theirs.
    fn label_spaces(&self) -> &[LabelSpace] {
        std::slice::from_ref(self.labels())
    }

    /// Index in [`label_spaces`](Self::label_spaces) of the classes and attributes of a sample's objects.
    fn label_space(&self, index: usize) -> usize {
        match self.inner(index) {
            Some((source, index)) => source.label_space(index),
            None => 0,
        }
    }

    /// The classes and attributes of a sample's objects.
    fn labels_of(&self, index: usize) -> &LabelSpace {
        let spaces = self.label_spaces();
        spaces.get(self.label_space(index)).unwrap_or(self.labels())
    }

    /// The whole sample.
    ///
    /// # Errors
    /// If `index` is out of range, or the image or record is unreadable.
    fn load(&self, index: usize) -> Result<Sample, DataError>;

    /// For a wrapper such as [`Subset`](crate::Subset): the wrapped source and the index of the sample in it. `None` for
    /// other sources and for an index out of range.
    fn inner(&self, _index: usize) -> Option<(&dyn Source, usize)> {
        None
    }

    /// Loads what [`key`](Self::key), [`size`](Self::size) and the other methods without an error need to know about a
    /// sample. Sources that are not entirely in memory keep it for the samples prepared last.
    ///
    /// # Errors
    /// If it cannot be read; the methods then return their default for this sample, and the next method with errors reports it.
    fn prepare(&self, index: usize) -> Result<(), DataError> {
        match self.inner(index) {
            Some((source, index)) => source.prepare(index),
            None => Ok(()),
        }
    }

    /// The image id of a sample; 0 if `index` is out of range.
    fn key(&self, index: usize) -> u64 {
        match self.inner(index) {
            Some((source, index)) => source.key(index),
            None => self.load(index).map_or(0, |sample| sample.key),
        }
    }

    /// The image id in the [`inner`](Self::inner)most source: the one in the files of its data set, which a
    /// [`Mixture`](crate::Mixture) replaces in its [`key`](Self::key)s.
    fn image_id(&self, index: usize) -> u64 {
        match self.inner(index) {
            Some((source, index)) => source.image_id(index),
            None => self.key(index),
        }
    }

    /// Identifies the image files of a sample within the [`inner`](Self::inner)most source: samples with the same value have
    /// the same images. By default the [`key`](Self::key).
    fn file_key(&self, index: usize) -> u64 {
        match self.inner(index) {
            Some((source, index)) => source.file_key(index),
            None => self.key(index),
        }
    }

    /// Width and height in pixels; `(0, 0)` if `index` is out of range.
    fn size(&self, index: usize) -> (usize, usize) {
        match self.inner(index) {
            Some((source, index)) => source.size(index),
            None => self
                .load(index)
                .map_or((0, 0), |sample| (sample.image.width, sample.image.height)),
        }
    }

    /// The captions alone.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        match self.inner(index) {
            Some((source, index)) => source.captions(index),
            None => Ok(self.load(index)?.captions),
        }
    }

    /// The label alone.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        match self.inner(index) {
            Some((source, index)) => source.label(index),
            None => Ok(self.load(index)?.label),
        }
    }

    /// The objects alone, as [`Sample::objects`].
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        match self.inner(index) {
            Some((source, index)) => source.objects(index),
            None => Ok(self.load(index)?.objects),
        }
    }

    /// The objects as they are annotated, also those that are not training targets because their boxes have no area
    /// inside the image. `None` if the source has no other annotations than its [`objects`](Self::objects).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn annotated_objects(&self, index: usize) -> Result<Option<Vec<AnnotatedObject>>, DataError> {
        match self.inner(index) {
            Some((source, index)) => source.annotated_objects(index),
            None => Ok(None),
        }
    }

    /// COCO's id of the image, which [`TestImageFilter`](crate::TestImageFilter) compares; `None` if the image is not
    /// COCO's or its id is unknown.
    fn coco_id(&self, index: usize) -> Option<u64> {
        let (source, index) = self.inner(index)?;
        source.coco_id(index)
    }

    /// The image files, not decoded; `None` if the images are not files, as in generated scenes.
    ///
    /// # Errors
    /// If an image file is unreadable.
    fn encoded_image(&self, index: usize) -> Result<Option<EncodedImage>, DataError> {
        match self.inner(index) {
            Some((source, index)) => source.encoded_image(index),
            None => Ok(None),
        }
    }

    /// Index of the first sample of each block that is read best as a whole, such as a shard: ascending, the first 0.
    /// Empty if samples are read equally well in any order. See [`BatchPlan::window`](crate::BatchPlan::window).
    fn block_starts(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// Block starts of the samples `inner_indices` of a source with `block_starts`; empty without blocks.
pub(crate) fn wrapped_block_starts(
    block_starts: &[usize],
    inner_indices: impl Iterator<Item = usize>,
) -> Vec<usize> {
    if block_starts.is_empty() {
        return Vec::new();
    }
    let mut previous = None;
    let mut starts = Vec::new();
    for (index, inner_index) in inner_indices.enumerate() {
        let block = block_starts.partition_point(|&start| start <= inner_index);
        if previous != Some(block) {
            previous = Some(block);
            starts.push(index);
        }
    }
    starts
}
