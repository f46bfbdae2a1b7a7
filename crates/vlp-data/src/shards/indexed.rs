use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    BlobStore, MANIFEST, Manifest, ShardEntry, ShardIndex, ShardOptions, index_memory::IndexMemory,
    manifest, sidecar,
};
use crate::{
    AnnotatedObject, DataError, EncodedImage, FileSource, Label, LabelSpace, Limits, Object,
    Sample, Source,
    read::{ReadReport, cache::LAYOUT},
};

/// A packed set whose shards have an index each, read when a sample of the shard is needed. Memory does not grow with the
/// number of samples: about 150 bytes a shard, and the indices of the shards used last.
///
/// Samples, their order and everything about them are those that [`open`](super::open()) gives. Image ids are compared within
/// a shard only.
pub struct IndexedShards {
    name: String,
    labels: LabelSpace,
    store: Arc<dyn BlobStore>,
    shards: Vec<(ShardEntry, ShardIndex)>,
    /// Number of samples before the end of each shard.
    ends: Vec<usize>,
    limits: Limits,
    memory: IndexMemory,
    report: ReadReport,
    /// An error that a method without errors has met, for the next method with errors.
    unreported: Mutex<Option<DataError>>,
}

/// Opens a packed set by the indices of its shards, without reading the shards; `None` if it has no manifest, a shard has no
/// index or one of another version, or `options.labels` are not the labels of the set. [`open`](super::open()) then reads the
/// shards themselves.
///
/// # Errors
/// If a shard or its index is missing or differs in length from the manifest, as far as the store lists its files, or the
/// store cannot be read.
pub fn open_indexed(
    store: Arc<dyn BlobStore>,
    options: &ShardOptions,
) -> Result<Option<IndexedShards>, DataError> {
    let Some(manifest) = Manifest::read(store.as_ref())? else {
        return Ok(None);
    };
    let labels = options.labels.as_ref();
    let indexed = |shard: &ShardEntry| shard.index.is_some_and(|index| index.version == LAYOUT);
    if labels.is_some_and(|labels| *labels != manifest.labels)
        || manifest.shards.is_empty()
        || !manifest.shards.iter().all(indexed)
    {
        return Ok(None);
    }
    let name = options.name.as_ref().unwrap_or(&manifest.name).clone();
    let mut report = ReadReport::default();
    for file in manifest::check_listed(store.as_ref(), &manifest)? {
        let reason = format!("{MANIFEST} does not list it");
        report.skip(&name, Path::new(store.name()), file, reason);
    }
    let mut samples = 0_usize;
    let mut ends = Vec::with_capacity(manifest.shards.len());
    for shard in &manifest.shards {
        let end = usize::try_from(shard.samples).ok();
        let end = end.and_then(|count| samples.checked_add(count));
        samples = end.ok_or_else(|| DataError::TooMany {
            name: name.clone(),
            items: "samples",
            count: usize::MAX,
            max: usize::MAX,
        })?;
        ends.push(samples);
    }
    let shards = manifest.shards.into_iter();
    let shards = shards.filter_map(|shard| shard.index.map(|index| (shard, index)));
    Ok(Some(IndexedShards {
        name,
        labels: manifest.labels,
        store,
        shards: shards.collect(),
        ends,
        limits: options.limits.clone(),
        memory: IndexMemory::new(options.max_index_bytes),
        report: ReadReport { samples, ..report },
        unreported: Mutex::default(),
    }))
}

impl IndexedShards {
    /// The number of samples, and the `.tar` files that the manifest does not list, as far as the store lists its files.
    pub fn report(&self) -> &ReadReport {
        &self.report
    }

    /// Whether any sample has answers, and so a [`consensus`](Self::consensus).
    pub fn has_answers(&self) -> bool {
        self.shards.iter().any(|(_, index)| index.has_answers)
    }

    /// As [`FileSource::consensus`].
    ///
    /// # Errors
    /// If `index` is out of range, or the shard's index cannot be read.
    pub fn consensus(&self, index: usize) -> Result<Option<String>, DataError> {
        let (source, row) = self.shard(index)?;
        Ok(source.consensus(row).map(str::to_owned))
    }

    /// The shard of a sample, and the sample's row in it.
    fn locate(&self, index: usize) -> Result<(usize, usize), DataError> {
        let shard = self.ends.partition_point(|&end| end <= index);
        if shard == self.ends.len() {
            return Err(DataError::Index {
                name: self.name.clone(),
                index,
                len: self.len(),
            });
        }
        let start = shard
            .checked_sub(1)
            .map_or(0, |previous| self.ends[previous]);
        Ok((shard, index - start))
    }

    /// The index of the sample's shard, and the sample's row in it.
    fn shard(&self, index: usize) -> Result<(Arc<FileSource>, usize), DataError> {
        let (number, row) = self.locate(index)?;
        if let Some(error) = self.unreported().take() {
            return Err(error);
        }
        let (shard, entry) = &self.shards[number];
        let read = || sidecar::read(&self.store, shard, entry, &self.labels, &self.limits);
        let source = self.memory.get(number, read).map_err(DataError::of_store)?;
        Ok((source, row))
    }

    /// What the index of the sample's shard says about its row; `None` if it cannot be read, which the next method with errors
    /// reports: a set must not look like another one because a store did not answer.
    fn fact<T>(&self, index: usize, fact: impl FnOnce(&FileSource, usize) -> T) -> Option<T> {
        match self.shard(index) {
            Ok((source, row)) => Some(fact(&source, row)),
            Err(error) => {
                if error.is_of_store() {
                    *self.unreported() = Some(error);
                }
                None
            }
        }
    }

    fn unreported(&self) -> MutexGuard<'_, Option<DataError>> {
        // No panic can leave it inconsistent.
        self.unreported
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for IndexedShards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedShards")
            .field("name", &self.name)
            .field("store", &self.store)
            .field("shards", &self.shards.len())
            .field("samples", &self.len())
            .finish_non_exhaustive()
    }
}

impl Source for IndexedShards {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn prepare(&self, index: usize) -> Result<(), DataError> {
        self.shard(index).map(|_| ())
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let (source, row) = self.shard(index)?;
        source.load(row)
    }

    fn key(&self, index: usize) -> u64 {
        self.fact(index, |source, row| source.key(row)).unwrap_or(0)
    }

    fn file_key(&self, index: usize) -> u64 {
        self.fact(index, |source, row| source.file_key(row))
            .unwrap_or(0)
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.fact(index, |source, row| source.size(row))
            .unwrap_or((0, 0))
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        let (source, row) = self.shard(index)?;
        source.captions(row)
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        let (source, row) = self.shard(index)?;
        source.label(row)
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        let (source, row) = self.shard(index)?;
        source.objects(row)
    }

    fn annotated_objects(&self, index: usize) -> Result<Option<Vec<AnnotatedObject>>, DataError> {
        let (source, row) = self.shard(index)?;
        source.annotated_objects(row)
    }

    fn coco_id(&self, index: usize) -> Option<u64> {
        // Without reading the index of a shard that has none.
        let (shard, _) = self.locate(index).ok()?;
        if !self.shards[shard].1.has_coco_ids {
            return None;
        }
        self.fact(index, |source, row| source.coco_id(row))?
    }

    fn encoded_image(&self, index: usize) -> Result<Option<EncodedImage>, DataError> {
        let (source, row) = self.shard(index)?;
        source.encoded_image(row)
    }

    fn block_starts(&self) -> Vec<usize> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut starts: Vec<usize> = starts.take(self.ends.len()).collect();
        // Shards without samples.
        starts.dedup();
        starts.retain(|&start| start < self.len());
        starts
    }
}
