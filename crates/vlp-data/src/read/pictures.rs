use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

use super::texts::Texts;
use crate::{
    DataError, Limits, Picture,
    decode::{decode_picture, decode_stored, picture_size, upright},
    shards::Blobs,
};

/// Folders that pictures are looked for in, each listed once instead of a question to the file system for every picture.
#[derive(Default)]
pub(crate) struct Folders {
    roots: Vec<PathBuf>,
    listed: HashMap<PathBuf, HashSet<OsString>>,
}

impl Folders {
    /// # Errors
    /// [`DataError::Missing`] where one is not a folder.
    pub(crate) fn new(roots: Vec<PathBuf>) -> Result<Self, DataError> {
        match roots.iter().find(|root| !root.is_dir()) {
            Some(root) => Err(DataError::Missing {
                path: root.clone(),
                reason: "no such folder of pictures".into(),
            }),
            None => Ok(Self {
                roots,
                listed: HashMap::new(),
            }),
        }
    }

    /// The first folder that has the file, by number.
    pub(crate) fn find(&mut self, file: &str) -> Option<u16> {
        if file.is_empty() {
            return None;
        }
        let found = (0..self.roots.len()).find(|&root| {
            let path = self.roots[root].join(file);
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return false;
            };
            if let Some(names) = self.listed.get(folder) {
                return names.contains(name);
            }
            let names: HashSet<OsString> = list(folder);
            let there = names.contains(name);
            self.listed.insert(folder.to_owned(), names);
            there
        });
        found.map(|root| root as u16)
    }

    /// The pictures whose names end in a number, as `COCO_train2014_000000000009.jpg` does: (folder, file) by number.
    pub(crate) fn by_number(&self) -> HashMap<u64, (u16, String)> {
        let mut found = HashMap::new();
        for (root, folder) in self.roots.iter().enumerate() {
            // Sorted: of two files of one number always the same is taken.
            let names: BTreeMap<u64, String> = list::<Vec<OsString>>(folder)
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .filter_map(|name| Some((number(&name)?, name)))
                .fold(BTreeMap::new(), |mut all, (number, name)| {
                    let kept = all.entry(number).or_insert_with(|| name.clone());
                    if name < *kept {
                        *kept = name;
                    }
                    all
                });
            for (number, name) in names {
                found.entry(number).or_insert((root as u16, name));
            }
        }
        found
    }

    /// Where it was looked, for messages.
    pub(crate) fn missing(&self, file: &str) -> String {
        let places: Vec<String> = self
            .roots
            .iter()
            .map(|root| root.join(file).display().to_string())
            .collect();
        format!("{} is missing", places.join(" or "))
    }
}

/// None where it cannot be listed: then its files are missing one by one.
fn list<T: FromIterator<OsString>>(folder: &Path) -> T {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect()
}

/// The digits that a file's name ends in before a picture's extension.
fn number(name: &str) -> Option<u64> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !["jpg", "jpeg", "png", "webp"].contains(&extension.to_ascii_lowercase().as_str()) {
        return None;
    }
    let digits = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[digits..].parse().ok()
}

/// Key of an image that has a name and no number: the 64-bit FNV-1a hash of its file's name without folder and
/// extension, so that it is the same in every data set that has the image.
pub fn name_key(file: &str) -> u64 {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    fnv(stem.bytes())
}

/// 64-bit FNV-1a.
pub(crate) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Pictures of a source by number; decoded when they are asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Pictures {
    place: Place,
    files: Texts,
    items: Vec<Item>,
    limits: Limits,
}

/// Where the bytes are.
#[derive(Serialize, Deserialize)]
enum Place {
    /// In files of these folders.
    Folders(Vec<PathBuf>),
    /// In members of these shards.
    Shards {
        names: Vec<String>,
        /// By picture.
        spans: Vec<Span>,
        /// Only between reading a stored index and [`Pictures::attach`] it is `None`.
        #[serde(skip)]
        blobs: Option<Arc<dyn Blobs>>,
    },
}

/// A picture's bytes in a shard.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) shard: u32,
    pub(crate) start: u64,
    pub(crate) len: u32,
}

#[derive(Serialize, Deserialize)]
struct Item {
    key: u64,
    root: u16,
    /// Whether the size is an annotation's: then the picture must have it.
    annotated: bool,
    #[serde(with = "cell")]
    size: OnceLock<(u32, u32)>,
}

/// A size that may not be known yet, as an `Option`.
mod cell {
    use std::sync::OnceLock;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Cell = OnceLock<(u32, u32)>;

    pub(super) fn serialize<S: Serializer>(cell: &Cell, to: S) -> Result<S::Ok, S::Error> {
        cell.get().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Cell, D::Error> {
        let size = Option::<(u32, u32)>::deserialize(from)?;
        Ok(size.map_or_else(OnceLock::new, OnceLock::from))
    }
}

impl Pictures {
    pub(crate) fn new(folders: &Folders, limits: Limits) -> Self {
        Self {
            place: Place::Folders(folders.roots.clone()),
            files: Texts::default(),
            items: Vec::new(),
            limits,
        }
    }

    /// Pictures in shards.
    pub(crate) fn in_shards(blobs: Arc<dyn Blobs>, names: Vec<String>, limits: Limits) -> Self {
        Self {
            place: Place::Shards {
                names,
                spans: Vec::new(),
                blobs: Some(blobs),
            },
            files: Texts::default(),
            items: Vec::new(),
            limits,
        }
    }

    /// Gives an index that was read from a file the place of its shards.
    pub(crate) fn attach(&mut self, place: Arc<dyn Blobs>) {
        if let Place::Shards { blobs, .. } = &mut self.place {
            *blobs = Some(place);
        }
    }

    /// Where the next pictures pushed lie; as many as are pushed, one after another.
    pub(crate) fn push_span(&mut self, span: Span) {
        if let Place::Shards { spans, .. } = &mut self.place {
            spans.push(span);
        }
    }

    /// Whether everything that is looked up by number is there.
    pub(crate) fn sound(&self) -> bool {
        let placed = match &self.place {
            Place::Folders(roots) => {
                let in_roots = |item: &Item| usize::from(item.root) < roots.len();
                self.items.iter().all(in_roots)
            }
            Place::Shards { names, spans, .. } => {
                spans.len() == self.items.len()
                    && spans.iter().all(|span| (span.shard as usize) < names.len())
            }
        };
        placed && self.files.sound() && self.files.len() == self.items.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn push(
        &mut self,
        key: u64,
        root: u16,
        file: &str,
        size: Option<(u32, u32)>,
    ) -> u32 {
        let cell = OnceLock::new();
        if let Some(size) = size {
            // A new cell is empty.
            let _ = cell.set(size);
        }
        self.items.push(Item {
            key,
            root,
            annotated: size.is_some(),
            size: cell,
        });
        self.files.push(file)
    }

    pub(crate) fn key(&self, at: u32) -> u64 {
        self.items.get(at as usize).map_or(0, |item| item.key)
    }

    pub(crate) fn file(&self, at: u32) -> &str {
        self.files.get(at)
    }

    pub(crate) fn bytes(&self) -> usize {
        let spans = match &self.place {
            Place::Folders(_) => 0,
            Place::Shards { spans, .. } => spans.capacity() * size_of::<Span>(),
        };
        self.files.bytes() + self.items.capacity() * size_of::<Item>() + spans
    }

    /// The picture's file, or its shard and name, for messages.
    fn path(&self, at: u32) -> PathBuf {
        match &self.place {
            Place::Folders(roots) => {
                let root = self.items.get(at as usize).map_or(0, |item| item.root);
                let root = roots.get(usize::from(root));
                root.map_or_else(PathBuf::new, |root| root.join(self.files.get(at)))
            }
            Place::Shards {
                names,
                spans,
                blobs,
            } => {
                let span = spans.get(at as usize);
                let shard = span.and_then(|span| names.get(span.shard as usize));
                let place = blobs.as_ref().map_or("", |blobs| blobs.name());
                let shard = shard.map_or("", String::as_str);
                PathBuf::from(format!("{place}/{shard}:{}", self.files.get(at)))
            }
        }
    }

    /// The first `most` of the picture's bytes as they are stored.
    fn prefix(&self, at: u32, most: u64) -> Result<Vec<u8>, DataError> {
        if let Place::Shards {
            names,
            spans,
            blobs: Some(blobs),
        } = &self.place
            && let Some(span) = spans.get(at as usize)
            && let Some(name) = names.get(span.shard as usize)
        {
            let len = u64::from(span.len).min(most) as usize;
            return blobs.read(name, span.start, len);
        }
        let path = self.path(at);
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(DataError::io(&path))?;
        let read = file.take(most).read_to_end(&mut bytes);
        read.map_err(DataError::io(&path))?;
        Ok(bytes)
    }

    /// The picture's bytes as they are stored.
    pub(crate) fn encoded(&self, at: u32) -> Result<Vec<u8>, DataError> {
        match &self.place {
            Place::Folders(_) => {
                let path = self.path(at);
                fs::read(&path).map_err(DataError::io(path))
            }
            Place::Shards { .. } => self.prefix(at, u64::MAX),
        }
    }

    /// The size that an annotation says, if one does.
    pub(crate) fn annotated(&self, at: u32) -> Option<(usize, usize)> {
        let item = self.items.get(at as usize);
        item.filter(|item| item.annotated).map(|_| self.size(at))
    }

    /// Stores the size that a picture was found to have; no annotation says it.
    pub(crate) fn found_size(&self, at: u32, size: (u32, u32)) {
        if let Some(item) = self.items.get(at as usize) {
            // Where one is known it is the annotation's.
            let _ = item.size.set(size);
        }
    }

    /// Width and height, from the annotation or else from the picture's first bytes, read once.
    ///
    /// A picture that cannot be read counts as one pixel: whoever loads it is told why.
    pub(crate) fn size(&self, at: u32) -> (usize, usize) {
        let Some(item) = self.items.get(at as usize) else {
            return (0, 0);
        };
        let (width, height) = *item.size.get_or_init(|| {
            let (width, height) = self.header(at).unwrap_or((1, 1));
            (width as u32, height as u32)
        });
        (width as usize, height as usize)
    }

    fn header(&self, at: u32) -> Result<(usize, usize), DataError> {
        let name = self.path(at).display().to_string();
        header_size(&name, |most| self.prefix(at, most))
    }

    /// The picture the right way up; or, where an annotation gives its size, as it has that size: boxes are in pixels of
    /// the stored picture in most data, as COCO's own tools ignore EXIF.
    pub(crate) fn load(&self, at: u32) -> Result<Picture, DataError> {
        let bytes = self.encoded(at)?;
        let name = self.path(at).display().to_string();
        let Some(expected) = self.annotated(at) else {
            return decode_picture(&bytes, &name, &self.limits);
        };
        let (mut picture, orientation) = decode_stored(&bytes, &name, &self.limits)?;
        if (picture.width, picture.height) != expected {
            picture = upright(picture, orientation, &name)?;
        }
        if (picture.width, picture.height) == expected {
            return Ok(picture);
        }
        let reason = format!(
            "it is {}x{}, its annotation says {}x{}",
            picture.width, picture.height, expected.0, expected.1
        );
        Err(DataError::Decode { name, reason })
    }
}

/// Width and height of the upright picture from as few of its first bytes as will do; `prefix` gives so many of them.
pub(crate) fn header_size(
    name: &str,
    mut prefix: impl FnMut(u64) -> Result<Vec<u8>, DataError>,
) -> Result<(usize, usize), DataError> {
    // The first is nearly always enough for the metadata before a picture's data, the second for a long EXIF thumbnail.
    for most in [1 << 14, 1 << 18] {
        let bytes = prefix(most)?;
        let size = picture_size(&bytes, name);
        if size.is_ok() || (bytes.len() as u64) < most {
            return size;
        }
    }
    picture_size(&prefix(1 << 30)?, name)
}
