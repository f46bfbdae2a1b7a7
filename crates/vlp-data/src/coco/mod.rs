//! Reader of COCO's caption and instance files, and of any data in their format.

mod files;
mod join;

use std::path::Path;

pub use files::CocoFiles;

use crate::{
    DataError, Encoded, Label, LabelSpace, Limits, Object, Sample, Source,
    read::{FileSource, ReadReport, cache},
};

/// How COCO files are read.
#[derive(Debug, Clone, Default)]
pub struct CocoOptions {
    /// Which of several `annotations/captions_SPLIT.json` to read, such as `val2017`; not needed where there is one.
    pub split: Option<String>,
    /// Name for messages; else the folder's and the split's.
    pub name: Option<String>,
    /// Pictures outside are not decoded.
    pub limits: Limits,
}

/// Images with captions, and with boxes where there is an instances file.
///
/// One sample per image that has a caption, in the caption file's order. Boxes are in pixels of the stored picture, as in
/// COCO's own tools, which ignore EXIF; a picture is turned upright only where that alone gives its annotated size. The
/// image ids count as COCO's ([`Source::coco_id`]): do not apply [`HeldOut`](crate::HeldOut) to other data in this format.
pub struct CocoSource {
    source: FileSource,
    files: CocoFiles,
}

impl CocoSource {
    /// Reads `DIR/annotations/captions_SPLIT.json`, `instances_SPLIT.json` beside it where there is one, and pictures
    /// from `DIR/SPLIT`, `DIR/images/SPLIT` or `DIR/images`.
    ///
    /// # Errors
    /// When files are missing, several splits fit, or a file is not in COCO's format. Records that are wrong one by one
    /// are left out and listed in [`report`](Self::report).
    pub fn open(dir: impl AsRef<Path>, options: CocoOptions) -> Result<Self, DataError> {
        let files = CocoFiles::find(dir.as_ref(), options.split.as_deref())?;
        Self::from_files(files, options)
    }

    /// Reads the given files.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_files(files: CocoFiles, options: CocoOptions) -> Result<Self, DataError> {
        let name = options.name.unwrap_or_else(|| files.name());
        let source = join::join(name, &files, &options.limits)?;
        Ok(Self { source, files })
    }

    /// As [`open`](Self::open), the index read from the file `cache`, or written to it
    /// ([`cache`]); and which of them it was.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_cached(
        dir: impl AsRef<Path>,
        options: CocoOptions,
        cache: impl AsRef<Path>,
    ) -> Result<(Self, cache::State), DataError> {
        let files = CocoFiles::find(dir.as_ref(), options.split.as_deref())?;
        let name = options.name.unwrap_or_else(|| files.name());
        let mut inputs = vec![files.captions.clone(), files.images.clone()];
        inputs.extend(files.instances.clone());
        let key = format!("coco {name} {:?}", options.limits);
        let build = || join::join(name, &files, &options.limits);
        let opened = cache::open_or_build(cache.as_ref(), &inputs, &key, build)?;
        let source = opened.source;
        Ok((Self { source, files }, opened.state))
    }

    /// What was read, mended and left out.
    pub fn report(&self) -> &ReadReport {
        self.source.report()
    }

    /// Bytes of memory that the index takes; pictures are not held.
    pub fn index_bytes(&self) -> usize {
        self.source.index_bytes()
    }

    /// The file's category id of a class, for result files.
    pub fn category_id(&self, class: usize) -> Option<u64> {
        self.source.class_ids.get(class).copied()
    }

    /// The files read.
    pub fn files(&self) -> &CocoFiles {
        &self.files
    }
}

impl Source for CocoSource {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn labels(&self) -> &LabelSpace {
        self.source.labels()
    }

    fn key(&self, index: usize) -> u64 {
        self.source.key(index)
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.source.size(index)
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        self.source.captions(index)
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        self.source.label(index)
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        self.source.objects(index)
    }

    fn coco_id(&self, index: usize) -> Option<u64> {
        self.source.coco_id(index)
    }

    fn encoded(&self, index: usize) -> Result<Option<Encoded>, DataError> {
        self.source.encoded(index)
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.source.load(index)
    }
}
