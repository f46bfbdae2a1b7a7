//! Writing an index, segment by segment.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vlp_files::{create_folder, is_partial_of, write_whole};

use crate::error::IndexError;
use crate::header::IndexHeader;
use crate::manifest::{FILE_NAME, Manifest, SegmentEntry, sha256_hex};
use crate::records::{ImageRecord, IndexedImage};
use crate::segment::{Segment, TextIndices};
use crate::segment_file::{decode, encode};

/// Name of the file that is locked while an index is written.
const LOCK_FILE: &str = ".lock";

/// Writes an index. What was written stays when the process is killed: the next writer resumes after the last whole segment.
#[derive(Debug)]
pub struct IndexWriter {
    folder: PathBuf,
    manifest: Manifest,
    /// Indices of the texts of all segments.
    texts: Arc<TextIndices>,
    /// The images that were there when it was opened.
    resumed: Vec<ImageRecord>,
    // Closing it unlocks it. The file stays: removing it would let two processes lock different files of that name.
    _lock: File,
}

impl IndexWriter {
    /// Begins an index in a new or empty folder, or resumes one with the same header, whose segments are verified.
    ///
    /// # Errors
    /// [`IndexError::Taken`] if something else is there, an index of another header, or another process writes there;
    /// [`IndexError::Format`] if it is damaged, [`IndexError::Io`].
    pub fn open(folder: impl Into<PathBuf>, header: &IndexHeader) -> Result<Self, IndexError> {
        let folder = folder.into();
        let taken = |reason: String| IndexError::Taken {
            path: folder.clone(),
            reason,
        };
        if !is_vacant(&folder)? && Manifest::read(&folder)?.is_none() {
            return Err(taken(
                "already exists and is not an index; use another folder".into(),
            ));
        }
        create_folder(&folder).map_err(IndexError::io(&folder))?;
        let lock = lock(&folder)?;
        let (mut texts, mut resumed) = (TextIndices::new(), vec![]);
        // Read once more: another process may have written until now.
        let manifest = match Manifest::read(&folder)? {
            None => {
                let mut manifest = Manifest::new(header);
                manifest.write(&folder)?;
                manifest
            }
            Some(manifest) => {
                if let Some(difference) = manifest.header.difference(header) {
                    return Err(taken(format!("{difference}; use another folder")));
                }
                (texts, resumed) = read_segments(&folder, &manifest)?;
                manifest
            }
        };
        Ok(Self {
            folder,
            manifest,
            texts: Arc::new(texts),
            resumed,
            _lock: lock,
        })
    }

    /// The folder of the index.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Samples that are written: the next segment begins with this one.
    pub fn samples(&self) -> usize {
        self.manifest.samples()
    }

    /// The images that were there when the index was opened, each with its texts: what the source must still have for the
    /// index to be resumed.
    pub fn resumed(&self) -> impl Iterator<Item = (&IndexedImage, Vec<&str>)> {
        let mut texts = vec![""; self.texts.len()];
        for (text, &index) in &*self.texts {
            if let Some(place) = texts.get_mut(index) {
                *place = text;
            }
        }
        self.resumed.iter().map(move |record| {
            let of_image = record.texts.iter();
            let of_image = of_image.filter_map(|&text| texts.get(text).copied());
            (&record.image, of_image.collect())
        })
    }

    /// Whether the index is complete; nothing may be added then.
    pub fn is_complete(&self) -> bool {
        self.manifest.complete
    }

    /// An empty segment, the next one.
    pub fn segment(&self) -> Segment {
        Segment::new(Arc::clone(&self.texts))
    }

    /// Writes a segment that covers the next `samples` samples. It is on the disk when this returns.
    ///
    /// # Errors
    /// [`IndexError::Segment`] for embeddings that are not finite or of another width, and for a segment that was begun before
    /// the last one was written; [`IndexError::Io`].
    pub fn push(&mut self, samples: usize, segment: Segment) -> Result<(), IndexError> {
        let reject = |reason: String| IndexError::Segment {
            path: self.folder.clone(),
            reason,
        };
        let left = self.manifest.header.samples.saturating_sub(self.samples());
        if self.is_complete() || samples == 0 || samples > left {
            return Err(reject(format!(
                "a segment of {samples} samples; {left} are left"
            )));
        }
        if !Arc::ptr_eq(&segment.written, &self.texts) {
            return Err(reject(
                "the segment was begun before the last one was written".into(),
            ));
        }
        let encoded = encode(&segment, self.manifest.header.run.dim).map_err(reject)?;
        let number = self.manifest.segments.len();
        let write =
            |path: PathBuf, bytes: &[u8]| write_whole(&path, bytes).map_err(IndexError::io(&path));
        if !encoded.thumbnails.is_empty() {
            let path = Manifest::thumbnail_file(&self.folder, number);
            write(path, &encoded.thumbnails)?;
        }
        write(
            Manifest::segment_file(&self.folder, number),
            &encoded.segment,
        )?;
        self.manifest.segments.push(SegmentEntry {
            samples,
            bytes: encoded.segment.len() as u64,
            sha256: sha256_hex(&encoded.segment),
            thumbnail_bytes: encoded.thumbnails.len() as u64,
        });
        self.manifest.write(&self.folder)?;
        let Segment {
            written, new_texts, ..
        } = segment;
        // Not shared any more, so that nothing is copied.
        drop(written);
        Arc::make_mut(&mut self.texts).extend(new_texts);
        Ok(())
    }

    /// Marks the index as complete.
    ///
    /// # Errors
    /// [`IndexError::Incomplete`] if samples are missing, [`IndexError::Io`].
    pub fn finish(mut self) -> Result<(), IndexError> {
        let (done, samples) = (self.samples(), self.manifest.header.samples);
        if done < samples {
            return Err(IndexError::Incomplete {
                path: self.folder,
                done,
                samples,
            });
        }
        if self.manifest.complete {
            return Ok(());
        }
        self.manifest.complete = true;
        self.manifest.write(&self.folder)
    }
}

/// Verifies the segments of an index and reads their texts and images.
fn read_segments(
    folder: &Path,
    manifest: &Manifest,
) -> Result<(TextIndices, Vec<ImageRecord>), IndexError> {
    let (mut texts, mut images) = (TextIndices::new(), vec![]);
    for (number, entry) in manifest.segments.iter().enumerate() {
        let path = Manifest::segment_file(folder, number);
        let bytes = entry.read(&path)?;
        let dim = manifest.header.run.dim;
        let decoded = decode(&path, &bytes, dim, entry.thumbnail_bytes, texts.len())?;
        for text in decoded.records.texts {
            let index = texts.len();
            texts.insert(text, index);
        }
        images.extend(decoded.records.images);
    }
    Ok((texts, images))
}

/// Whether there is nothing in a folder but what a writer leaves that was killed before its first file was whole.
fn is_vacant(folder: &Path) -> Result<bool, IndexError> {
    if !folder.is_dir() {
        return Ok(folder.symlink_metadata().is_err());
    }
    let entries = fs::read_dir(folder).map_err(IndexError::io(folder))?;
    let mut names = entries.flatten().map(|entry| entry.file_name());
    Ok(names.all(|name| {
        let is_of_start = |name: &str| name == LOCK_FILE || is_partial_of(name, FILE_NAME);
        name.to_str().is_some_and(is_of_start)
    }))
}

fn lock(folder: &Path) -> Result<File, IndexError> {
    let path = folder.join(LOCK_FILE);
    let file = File::options().append(true).create(true).open(&path);
    let file = file.map_err(IndexError::io(&path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(IndexError::Taken {
            path: folder.into(),
            reason: "another process writes this index; wait until it ends".into(),
        }),
        // Some network file systems have no locks; writing is allowed there.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}
