use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use super::{folders::Folders, texts::TextTable};
use crate::{
    DataError, Image, Limits,
    blob_store::BlobStore,
    decode::{apply_orientation, decode_image, decode_stored, image_size},
    hash::fnv1a,
};

/// Images of a source by index; decoded on demand.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Images {
    location: Location,
    files: TextTable,
    entries: Vec<ImageEntry>,
    limits: Limits,
}

/// Largest image file, in bytes.
pub(crate) const MAX_IMAGE_BYTES: u64 = 1 << 30;
/// Bytes from the start of an image file within which its size and orientation must be. WebP has the orientation after the
/// pixels, which are as many bytes for the most pixels of the default limits.
const MAX_HEADER_BYTES: u64 = 1 << 28;
/// In place of a size that could not be read from the header, so that an index cache notices when the file changes.
const UNREADABLE: (u32, u32) = (0, 0);

/// Where the image bytes are.
#[derive(Debug, Serialize, Deserialize)]
enum Location {
    /// Files in these folders.
    Folders(Vec<PathBuf>),
    /// Members of these shards.
    Shards {
        names: Vec<String>,
        /// By image.
        spans: Vec<Span>,
        /// `None` only between reading a cached index and [`Images::attach_store`].
        #[serde(skip)]
        store: Option<Arc<dyn BlobStore>>,
    },
}

/// Byte range of an image in a shard.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) shard: u32,
    pub(crate) start: u64,
    pub(crate) len: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct ImageEntry {
    key: u64,
    /// Index of the folder.
    root: u16,
    /// Whether the size comes from an annotation, so that the image must have it.
    size_is_annotated: bool,
    #[serde(with = "optional_size")]
    size: OnceLock<(u32, u32)>,
}

/// Serializes a size that may not have been read yet as an `Option`.
mod optional_size {
    use std::sync::OnceLock;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Size = OnceLock<(u32, u32)>;

    pub(super) fn serialize<S: Serializer>(size: &Size, serializer: S) -> Result<S::Ok, S::Error> {
        size.get().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Size, D::Error> {
        let size = Option::<(u32, u32)>::deserialize(deserializer)?;
        Ok(size.map_or_else(OnceLock::new, OnceLock::from))
    }
}

impl Images {
    pub(crate) fn in_folders(folders: &Folders, limits: Limits) -> Self {
        Self::new(Location::Folders(folders.roots.clone()), limits)
    }

    pub(crate) fn in_shards(store: Arc<dyn BlobStore>, names: Vec<String>, limits: Limits) -> Self {
        let location = Location::Shards {
            names,
            spans: Vec::new(),
            store: Some(store),
        };
        Self::new(location, limits)
    }

    fn new(location: Location, limits: Limits) -> Self {
        Self {
            location,
            files: TextTable::default(),
            entries: Vec::new(),
            limits,
        }
    }

    /// Sets the store of an index that was read from its cache.
    pub(crate) fn attach_store(&mut self, new_store: Arc<dyn BlobStore>) {
        if let Location::Shards { store, .. } = &mut self.location {
            *store = Some(new_store);
        }
    }

    /// Sets store, name and limits of an index of a single shard.
    pub(crate) fn attach_shard(&mut self, store: Arc<dyn BlobStore>, name: String, limits: Limits) {
        if let Location::Shards { names, .. } = &mut self.location {
            *names = vec![name];
        }
        self.attach_store(store);
        self.limits = limits;
    }

    /// Whether every byte range ends within the first `bytes` bytes of its shard.
    pub(crate) fn are_within(&self, bytes: u64) -> bool {
        let end = |span: &Span| span.start.checked_add(u64::from(span.len));
        let is_within = |span| end(span).is_some_and(|end| end <= bytes);
        match &self.location {
            Location::Shards { spans, .. } => spans.iter().all(is_within),
            Location::Folders(_) => false,
        }
    }

    /// Adds the byte range of the image pushed last.
    pub(crate) fn push_span(&mut self, span: Span) {
        if let Location::Shards { spans, .. } = &mut self.location {
            spans.push(span);
        }
    }

    /// Whether every stored index is in range.
    pub(crate) fn is_consistent(&self) -> bool {
        let is_located = match &self.location {
            Location::Folders(roots) => {
                let in_roots = |entry: &ImageEntry| usize::from(entry.root) < roots.len();
                self.entries.iter().all(in_roots)
            }
            Location::Shards { names, spans, .. } => {
                spans.len() == self.entries.len()
                    && spans.iter().all(|span| (span.shard as usize) < names.len())
            }
        };
        is_located && self.files.is_consistent() && self.files.len() == self.entries.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an image with its annotated size, if any, and returns its index.
    pub(crate) fn push(
        &mut self,
        key: u64,
        root: u16,
        file: &str,
        annotated_size: Option<(u32, u32)>,
    ) -> u32 {
        self.entries.push(ImageEntry {
            key,
            root,
            size_is_annotated: annotated_size.is_some(),
            size: annotated_size.map_or_else(OnceLock::new, OnceLock::from),
        });
        self.files.push(file)
    }

    pub(crate) fn key(&self, index: u32) -> u64 {
        let entry = self.entries.get(index as usize);
        entry.map_or(0, |entry| entry.key)
    }

    /// Hash of key, folder and file.
    pub(crate) fn file_key(&self, index: u32) -> u64 {
        let root = self
            .entries
            .get(index as usize)
            .map_or(0, |entry| entry.root);
        let numbers = self
            .key(index)
            .to_le_bytes()
            .into_iter()
            .chain(root.to_le_bytes());
        fnv1a(numbers.chain(self.files.get(index).bytes()))
    }

    /// The length of the image file in a shard; 0 for other files.
    pub(crate) fn shard_bytes(&self, index: u32) -> u32 {
        match &self.location {
            Location::Shards { spans, .. } => spans.get(index as usize).map_or(0, |span| span.len),
            Location::Folders(_) => 0,
        }
    }

    /// The files whose size was read from their headers.
    pub(crate) fn measured_files(&self) -> Vec<PathBuf> {
        if matches!(self.location, Location::Shards { .. }) {
            return Vec::new();
        }
        let indices = (0..)
            .zip(&self.entries)
            .filter(|(_, entry)| !entry.size_is_annotated && entry.size.get().is_some());
        indices.map(|(index, _)| self.path(index)).collect()
    }

    pub(crate) fn file(&self, index: u32) -> &str {
        self.files.get(index)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let spans = match &self.location {
            Location::Folders(_) => 0,
            Location::Shards { spans, .. } => spans.capacity() * size_of::<Span>(),
        };
        self.files.memory_bytes() + self.entries.capacity() * size_of::<ImageEntry>() + spans
    }

    /// Path of the image file, or `STORE/SHARD:MEMBER`, for messages.
    fn path(&self, index: u32) -> PathBuf {
        let file = self.files.get(index);
        match &self.location {
            Location::Folders(roots) => {
                let root = self.entries.get(index as usize).map_or(0, |e| e.root);
                let root = roots.get(usize::from(root));
                root.map_or_else(PathBuf::new, |root| root.join(file))
            }
            Location::Shards {
                names,
                spans,
                store,
            } => {
                let span = spans.get(index as usize);
                let shard = span.and_then(|span| names.get(span.shard as usize));
                let store = store.as_ref().map_or("", |store| store.name());
                let shard = shard.map_or("", String::as_str);
                PathBuf::from(format!("{store}/{shard}:{file}"))
            }
        }
    }

    /// At most `max_len` bytes from the start of the image file.
    fn prefix(&self, index: u32, max_len: u64) -> Result<Vec<u8>, DataError> {
        if let Location::Shards {
            names,
            spans,
            store: Some(store),
        } = &self.location
            && let Some(span) = spans.get(index as usize)
            && let Some(name) = names.get(span.shard as usize)
        {
            let len = u64::from(span.len).min(max_len) as usize;
            // A shard has many samples, in a folder as in an object store: one that cannot be read is not skipped.
            let bytes = store.read(name, span.start, len);
            return bytes.map_err(DataError::of_store);
        }
        let path = self.path(index);
        let mut bytes = Vec::new();
        let read = open_file(&path).and_then(|file| file.take(max_len).read_to_end(&mut bytes));
        read.map_err(DataError::io(&path))?;
        Ok(bytes)
    }

    /// The bytes of the image file.
    pub(crate) fn encoded(&self, index: u32) -> Result<Vec<u8>, DataError> {
        self.prefix(index, MAX_IMAGE_BYTES)
    }

    /// The annotated size, if any.
    pub(crate) fn annotated_size(&self, index: u32) -> Option<(usize, usize)> {
        let entry = self.entries.get(index as usize);
        entry
            .filter(|entry| entry.size_is_annotated)
            .map(|_| self.size(index))
    }

    /// Stores the size of an image header; an annotated size is kept.
    pub(crate) fn set_header_size(&self, index: u32, size: (u32, u32)) {
        if let Some(entry) = self.entries.get(index as usize) {
            // Fails for an annotated size.
            let _ = entry.size.set(size);
        }
    }

    /// As [`measure`](Self::measure), but an unreadable image counts as one pixel; loading it gives the error.
    pub(crate) fn size(&self, index: u32) -> (usize, usize) {
        self.measure(index).unwrap_or((1, 1))
    }

    /// Annotated width and height, otherwise those of the image header, which is read until that succeeds.
    ///
    /// # Errors
    /// If the header is unreadable.
    pub(crate) fn measure(&self, index: u32) -> Result<(usize, usize), DataError> {
        let Some(entry) = self.entries.get(index as usize) else {
            return Ok((0, 0));
        };
        match entry.size.get() {
            Some(&(width, height)) if (width, height) != UNREADABLE => {
                return Ok((width as usize, height as usize));
            }
            _ => {}
        }
        let name = self.path(index).display().to_string();
        let size = header_size(&name, |max_len| self.prefix(index, max_len));
        let header = size.as_ref().map(|&(w, h)| (w as u32, h as u32));
        // Fails if it was unreadable before.
        let _ = entry.size.set(header.unwrap_or(UNREADABLE));
        size
    }

    /// The upright image. If the stored pixels have the annotated size, the EXIF orientation is ignored: boxes are in
    /// pixels of the stored image in most data sets, as in COCO's own tools.
    pub(crate) fn load(&self, index: u32) -> Result<Image, DataError> {
        let bytes = self.encoded(index)?;
        let name = self.path(index).display().to_string();
        let Some(annotated_size) = self.annotated_size(index) else {
            return decode_image(&bytes, &name, &self.limits);
        };
        let (mut image, orientation) = decode_stored(&bytes, &name, &self.limits)?;
        if (image.width, image.height) != annotated_size {
            image = apply_orientation(image, orientation, &name)?;
        }
        if (image.width, image.height) == annotated_size {
            return Ok(image);
        }
        let reason = format!(
            "it is {}x{}, its annotation says {}x{}",
            image.width, image.height, annotated_size.0, annotated_size.1
        );
        Err(DataError::Decode { name, reason })
    }
}

/// Opens an image file. A record may name anything: a device has no end, and a pipe makes its reader wait.
fn open_file(path: &Path) -> io::Result<File> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > MAX_IMAGE_BYTES {
        let reason = format!("{} bytes, more than {MAX_IMAGE_BYTES}", metadata.len());
        return Err(io::Error::other(reason));
    }
    File::open(path)
}

/// Width and height of the upright image, from the shortest sufficient prefix of its file; `prefix` reads at most that many
/// bytes.
pub(crate) fn header_size(
    name: &str,
    mut prefix: impl FnMut(u64) -> Result<Vec<u8>, DataError>,
) -> Result<(usize, usize), DataError> {
    // The first length nearly always covers the metadata, the second a large EXIF thumbnail.
    for max_len in [1 << 14, 1 << 18] {
        let bytes = prefix(max_len)?;
        let size = image_size(&bytes, name);
        if size.is_ok() || (bytes.len() as u64) < max_len {
            return size;
        }
    }
    image_size(&prefix(MAX_HEADER_BYTES)?, name)
}
