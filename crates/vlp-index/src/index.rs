//! Reading an index.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::embeddings::Embeddings;
use crate::error::IndexError;
use crate::header::IndexHeader;
use crate::manifest::Manifest;
use crate::records::{IndexedImage, Thumbnail};
use crate::segment_file::decode;

/// A text of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedText {
    /// The text.
    pub text: String,
    /// Indices of the images that have it, ascending.
    pub images: Vec<usize>,
}

/// A complete index in memory, without its thumbnails, which are read when they are asked for.
#[derive(Debug)]
pub struct Index {
    folder: PathBuf,
    header: IndexHeader,
    images: Vec<IndexedImage>,
    image_embeddings: Embeddings,
    /// Indices of the texts of each image.
    image_texts: Vec<Vec<usize>>,
    texts: Vec<IndexedText>,
    text_embeddings: Embeddings,
    /// Segment and place of each image's thumbnail.
    thumbnails: Vec<Option<(usize, Thumbnail)>>,
    skipped: Vec<String>,
}

impl Index {
    /// The header of an index, which need not be complete. Nothing else is read.
    ///
    /// # Errors
    /// [`IndexError::Missing`] for a folder that is not an index, [`IndexError::Format`] for a damaged one or one of another
    /// version, [`IndexError::Io`].
    pub fn read_header(folder: impl AsRef<Path>) -> Result<IndexHeader, IndexError> {
        Ok(read_manifest(folder.as_ref())?.header)
    }

    /// Reads an index and verifies all but its thumbnails.
    ///
    /// # Errors
    /// As [`Self::read_header`]; [`IndexError::Incomplete`] if its writing was interrupted.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, IndexError> {
        let folder = folder.into();
        let manifest = read_manifest(&folder)?;
        if !manifest.complete {
            return Err(IndexError::Incomplete {
                done: manifest.samples(),
                samples: manifest.header.samples,
                path: folder,
            });
        }
        let dim = manifest.header.run.dim;
        let mut index = Self {
            folder,
            header: manifest.header,
            images: vec![],
            image_embeddings: Embeddings::new(dim),
            image_texts: vec![],
            texts: vec![],
            text_embeddings: Embeddings::new(dim),
            thumbnails: vec![],
            skipped: vec![],
        };
        for (segment, entry) in manifest.segments.iter().enumerate() {
            let path = Manifest::segment_file(&index.folder, segment);
            let bytes = entry.read(&path)?;
            let before = index.texts.len();
            let decoded = decode(&path, &bytes, dim, entry.thumbnail_bytes, before)?;
            index.image_embeddings.push(&decoded.images);
            index.text_embeddings.push(&decoded.texts);
            let texts = decoded.records.texts.into_iter();
            index.texts.extend(texts.map(|text| IndexedText {
                text,
                images: vec![],
            }));
            for record in decoded.records.images {
                for &text in &record.texts {
                    index.texts[text].images.push(index.images.len());
                }
                index.image_texts.push(record.texts);
                let thumbnail = record.thumbnail.map(|thumbnail| (segment, thumbnail));
                index.thumbnails.push(thumbnail);
                index.images.push(record.image);
            }
            index.skipped.extend(decoded.records.skipped);
        }
        Ok(index)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it was made of.
    pub fn header(&self) -> &IndexHeader {
        &self.header
    }

    /// The images, in the order of the source.
    pub fn images(&self) -> &[IndexedImage] {
        &self.images
    }

    /// The texts of an image; none if there is no such image.
    pub fn texts_of(&self, image: usize) -> impl Iterator<Item = &str> {
        let texts = self.image_texts.get(image).into_iter().flatten();
        texts.map(|&text| self.texts[text].text.as_str())
    }

    /// A row for each of [`Self::images`].
    pub fn image_embeddings(&self) -> &Embeddings {
        &self.image_embeddings
    }

    /// The texts of all images, each once.
    pub fn texts(&self) -> &[IndexedText] {
        &self.texts
    }

    /// A row for each of [`Self::texts`].
    pub fn text_embeddings(&self) -> &Embeddings {
        &self.text_embeddings
    }

    /// Messages about samples that could not be read when the index was written.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The thumbnail of an image, a JPEG file; `None` if it has none or there is no such image.
    ///
    /// # Errors
    /// [`IndexError::Format`] if it is not the one that was written, [`IndexError::Io`].
    pub fn thumbnail(&self, image: usize) -> Result<Option<Vec<u8>>, IndexError> {
        let Some(&Some((segment, thumbnail))) = self.thumbnails.get(image) else {
            return Ok(None);
        };
        let path = Manifest::thumbnail_file(&self.folder, segment);
        let mut bytes = vec![];
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(thumbnail.offset))?;
            file.take(thumbnail.bytes).read_to_end(&mut bytes)
        });
        read.map_err(IndexError::io(&path))?;
        let length = bytes.len() as u64;
        if length != thumbnail.bytes || crc32c::crc32c(&bytes) != thumbnail.crc32c {
            return Err(IndexError::Format {
                path,
                reason: format!(
                    "damaged: the thumbnail of image {image} is not the one that was written"
                ),
            });
        }
        Ok(Some(bytes))
    }
}

fn read_manifest(folder: &Path) -> Result<Manifest, IndexError> {
    Manifest::read(folder)?.ok_or_else(|| IndexError::Missing {
        path: folder.into(),
    })
}
