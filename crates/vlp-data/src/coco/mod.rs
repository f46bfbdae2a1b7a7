//! Reader of COCO's caption and instance files, and of any data in their format.

mod files;
mod join;
mod json;

use std::path::Path;

pub use files::CocoFiles;
pub use join::CocoReport;
use join::Entry;

use crate::{
    DataError, LabelSpace, Limits, Sample, Source,
    decode::{decode_stored, upright},
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
/// COCO's own tools, which ignore EXIF; a picture is turned upright only where that alone gives its annotated size.
pub struct CocoSource {
    name: String,
    files: CocoFiles,
    limits: Limits,
    labels: LabelSpace,
    category_ids: Vec<u64>,
    entries: Vec<Entry>,
    report: CocoReport,
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
        let joined = join::join(&name, &files)?;
        Ok(Self {
            labels: LabelSpace {
                name: name.clone(),
                classes: joined.classes,
                attributes: joined.attributes,
            },
            name,
            files,
            limits: options.limits,
            category_ids: joined.category_ids,
            entries: joined.entries,
            report: joined.report,
        })
    }

    /// What was read, mended and left out.
    pub fn report(&self) -> &CocoReport {
        &self.report
    }

    /// The file's category id of a class, for result files.
    pub fn category_id(&self, class: usize) -> Option<u64> {
        self.category_ids.get(class).copied()
    }

    /// The files read.
    pub fn files(&self) -> &CocoFiles {
        &self.files
    }

    fn entry(&self, index: usize) -> Result<&Entry, DataError> {
        self.entries.get(index).ok_or_else(|| DataError::Index {
            name: self.name.clone(),
            index,
            len: self.entries.len(),
        })
    }
}

impl Source for CocoSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.entries.len()
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        self.entries.get(index).map_or(0, |entry| entry.key)
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.entries.get(index).map_or((0, 0), |entry| entry.size)
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(self.entry(index)?.captions.clone())
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let entry = self.entry(index)?;
        let path = self.files.images.join(&entry.file);
        let bytes = std::fs::read(&path).map_err(DataError::io(&path))?;
        let name = path.display().to_string();
        let (mut picture, orientation) = decode_stored(&bytes, &name, &self.limits)?;
        if (picture.width, picture.height) != entry.size {
            picture = upright(picture, orientation, &name)?;
        }
        if (picture.width, picture.height) != entry.size {
            let (width, height) = entry.size;
            let reason = format!(
                "it is {}x{}, its annotation says {width}x{height}",
                picture.width, picture.height
            );
            return Err(DataError::Decode { name, reason });
        }
        Ok(Sample {
            key: entry.key,
            name: entry.file.clone(),
            picture,
            captions: entry.captions.clone(),
            objects: entry.objects.clone(),
        })
    }
}
