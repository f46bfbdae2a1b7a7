use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::texts::Texts;
use crate::{
    DataError, Limits, Picture,
    decode::{decode_picture, decode_stored, picture_size, upright},
};

/// Folders that pictures are looked for in, each listed once instead of a question to the file system for every picture.
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
pub(crate) struct Pictures {
    roots: Vec<PathBuf>,
    files: Texts,
    items: Vec<Item>,
    limits: Limits,
}

struct Item {
    key: u64,
    root: u16,
    /// Whether the size is an annotation's: then the picture must have it.
    annotated: bool,
    size: OnceLock<(u32, u32)>,
}

impl Pictures {
    pub(crate) fn new(folders: &Folders, limits: Limits) -> Self {
        Self {
            roots: folders.roots.clone(),
            files: Texts::default(),
            items: Vec::new(),
            limits,
        }
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
        self.files.bytes() + self.items.capacity() * size_of::<Item>()
    }

    fn path(&self, at: u32) -> PathBuf {
        let root = self.items.get(at as usize).map_or(0, |item| item.root);
        let root = self.roots.get(usize::from(root));
        root.map_or_else(PathBuf::new, |root| root.join(self.files.get(at)))
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
        let path = self.path(at);
        let name = path.display().to_string();
        let mut file = File::open(&path).map_err(DataError::io(&path))?;
        // The first is nearly always enough for the metadata before a picture's data, the second for a long EXIF thumbnail.
        let mut bytes = Vec::new();
        for more in [1 << 14, 1 << 18, 1 << 30] {
            let part = (&mut file).take(more).read_to_end(&mut bytes);
            let read = part.map_err(DataError::io(&path))?;
            match picture_size(&bytes, &name) {
                Err(_) if read > 0 => {}
                result => return result,
            }
        }
        picture_size(&bytes, &name)
    }

    /// The picture the right way up; or, where an annotation gives its size, as it has that size: boxes are in pixels of
    /// the stored picture in most data, as COCO's own tools ignore EXIF.
    pub(crate) fn load(&self, at: u32) -> Result<Picture, DataError> {
        let path = self.path(at);
        let bytes = fs::read(&path).map_err(DataError::io(&path))?;
        let name = path.display().to_string();
        let Some(expected) = self
            .items
            .get(at as usize)
            .filter(|item| item.annotated)
            .map(|_| self.size(at))
        else {
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
