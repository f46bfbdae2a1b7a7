use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::{DataError, hash::fnv1a};

/// Folders that are searched for images. Each is listed once, which saves a system call per image.
#[derive(Default)]
pub(crate) struct Folders {
    pub(super) roots: Vec<PathBuf>,
    listings: HashMap<PathBuf, HashSet<OsString>>,
}

impl Folders {
    /// # Errors
    /// [`DataError::Missing`] if one is not a folder.
    pub(crate) fn new(roots: Vec<PathBuf>) -> Result<Self, DataError> {
        match roots.iter().find(|root| !root.is_dir()) {
            Some(root) => Err(DataError::Missing {
                path: root.clone(),
                reason: "no such folder of images".into(),
            }),
            None => Ok(Self {
                roots,
                listings: HashMap::new(),
            }),
        }
    }

    /// Index of the first folder that has the file.
    pub(crate) fn find(&mut self, file: &str) -> Option<u16> {
        if file.is_empty() {
            return None;
        }
        let has_file = |root: &usize| {
            let path = self.roots[*root].join(file);
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                return false;
            };
            if let Some(names) = self.listings.get(folder) {
                return names.contains(name);
            }
            let names: HashSet<OsString> = list(folder);
            let has_file = names.contains(name);
            self.listings.insert(folder.to_owned(), names);
            has_file
        };
        let root = (0..self.roots.len()).find(has_file);
        root.map(|root| root as u16)
    }

    /// Images whose names end in a number, such as `COCO_train2014_000000000009.jpg`, as (folder index, file) by number.
    pub(crate) fn by_number(&self) -> HashMap<u64, (u16, String)> {
        let mut files = HashMap::new();
        for (root, folder) in self.roots.iter().enumerate() {
            // Of several files with one number the first by name is taken, whatever the order of the listing.
            let mut names: BTreeMap<u64, String> = BTreeMap::new();
            let listing = list::<Vec<OsString>>(folder).into_iter();
            for name in listing.filter_map(|name| name.into_string().ok()) {
                let Some(number) = trailing_number(&name) else {
                    continue;
                };
                let first = names.entry(number).or_insert_with(|| name.clone());
                if name < *first {
                    *first = name;
                }
            }
            for (number, name) in names {
                files.entry(number).or_insert((root as u16, name));
            }
        }
        files
    }

    /// The paths that were searched for a missing file.
    pub(crate) fn missing_message(&self, file: &str) -> String {
        let paths: Vec<String> = self
            .roots
            .iter()
            .map(|root| root.join(file).display().to_string())
            .collect();
        format!("{} is missing", paths.join(" or "))
    }
}

/// The names in a folder. A folder that cannot be listed counts as empty, so its files are reported one by one.
fn list<T: FromIterator<OsString>>(folder: &Path) -> T {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect()
}

/// The number at the end of an image file's stem.
fn trailing_number(name: &str) -> Option<u64> {
    let (stem, extension) = name.rsplit_once('.')?;
    if !["jpg", "jpeg", "png", "webp"].contains(&extension.to_ascii_lowercase().as_str()) {
        return None;
    }
    let start = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[start..].parse().ok()
}

/// Key of an image without an id: the 64-bit FNV-1a hash of its file name without folder and extension, which is the same
/// in every data set with the image.
pub fn name_key(file: &str) -> u64 {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    fnv1a(stem.bytes())
}
