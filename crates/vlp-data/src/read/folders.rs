use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

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

    /// Index of the first folder that has the file, and its path there. Names are compared in Unicode's composed form,
    /// because macOS stores names with decomposed accents.
    pub(crate) fn find(&mut self, file: &str) -> Option<(u16, String)> {
        if file.is_empty() {
            return None;
        }
        for root in 0..self.roots.len() {
            let path = self.roots[root].join(file);
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            if self.names(folder).contains(name) {
                return Some((root as u16, file.to_owned()));
            }
            if !file.is_ascii()
                && let Some(file) = self.find_equivalent(root, file)
            {
                return Some((root as u16, file));
            }
        }
        None
    }

    /// The path in folder `root` whose composed form is that of `file`.
    fn find_equivalent(&mut self, root: usize, file: &str) -> Option<String> {
        let (mut folder, mut parts) = (self.roots[root].clone(), Vec::new());
        for part in file.split('/').filter(|part| !part.is_empty()) {
            let names = self.names(&folder);
            let name = if names.contains(OsStr::new(part)) || [".", ".."].contains(&part) {
                part.to_owned()
            } else {
                let composed = composed(part);
                let equivalent = names.iter().filter_map(|name| name.to_str());
                // The first in sorted order, so that the result does not depend on the order of the listing.
                let equivalent = equivalent.filter(|name| self::composed(name) == composed);
                equivalent.min()?.to_owned()
            };
            folder.push(&name);
            parts.push(name);
        }
        Some(parts.join("/"))
    }

    /// The names in a folder, which is listed on first use.
    fn names(&mut self, folder: &Path) -> &HashSet<OsString> {
        if !self.listings.contains_key(folder) {
            self.listings.insert(folder.to_owned(), list(folder));
        }
        &self.listings[folder]
    }

    /// Images whose names end in a number, such as `COCO_train2014_000000000009.jpg`, by number. The first folder with a
    /// number counts.
    pub(crate) fn by_number(&mut self) -> HashMap<u64, NumberedFile> {
        let mut files = HashMap::new();
        for (root, folder) in self.roots.iter().enumerate() {
            let mut numbered: HashMap<u64, NumberedFile> = HashMap::new();
            let listing = list(folder);
            // Sorted, so that messages do not depend on the order of the listing.
            let names: BTreeSet<&str> = listing.iter().filter_map(|name| name.to_str()).collect();
            for name in names {
                let Some(number) = trailing_number(name).filter(|_| !is_system_file(name)) else {
                    continue;
                };
                let file = numbered.entry(number).or_insert_with(|| NumberedFile {
                    root: root as u16,
                    name: name.to_owned(),
                    other: None,
                });
                if file.name != name {
                    file.other = Some(name.to_owned());
                }
            }
            for (number, file) in numbered {
                files.entry(number).or_insert(file);
            }
            self.listings.insert(folder.clone(), listing);
        }
        files
    }

    /// The folders that were listed, with the names in them.
    pub(crate) fn searched(&self) -> Vec<Listing> {
        let listings = self.listings.iter().map(|(folder, names)| Listing {
            folder: folder.clone(),
            name_hashes: names.iter().map(|name| hash_name(name)).collect(),
        });
        listings.collect()
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

/// An image file that was found by the number at the end of its name.
pub(crate) struct NumberedFile {
    /// Index of the folder.
    pub(super) root: u16,
    pub(super) name: String,
    /// Another file in this folder with the same number.
    pub(super) other: Option<String>,
}

/// The names in a folder when it was searched, as hashes.
pub(crate) struct Listing {
    pub(super) folder: PathBuf,
    name_hashes: Vec<u64>,
}

impl Listing {
    /// The present names in `folder`.
    pub(super) fn of_folder(folder: &Path) -> Self {
        Self {
            name_hashes: list(folder).iter().map(|name| hash_name(name)).collect(),
            folder: folder.to_owned(),
        }
    }

    /// A number that changes when a file other than `ignored` is added, removed or renamed.
    pub(super) fn digest(&self, ignored: &OsStr) -> u64 {
        let ignored = hash_name(ignored);
        let mut names = self.name_hashes.clone();
        names.retain(|&name| name != ignored);
        // The order of a listing is arbitrary.
        names.sort_unstable();
        fnv1a(names.into_iter().flat_map(u64::to_le_bytes))
    }
}

fn hash_name(name: &OsStr) -> u64 {
    fnv1a(name.as_encoded_bytes().iter().copied())
}

/// The names in a folder. A folder that cannot be listed counts as empty, so its files are reported one by one.
fn list(folder: &Path) -> HashSet<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect()
}

/// Whether a file belongs to the operating system or is hidden: macOS adds an AppleDouble file `._NAME` to each file, and
/// Finder and Explorer their own settings.
pub fn is_system_file(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.starts_with('.')
        || ["thumbs.db", "ehthumbs.db", "desktop.ini"].contains(&name.to_ascii_lowercase().as_str())
}

/// The names `PREFIX..SUFFIX` of the files in a folder without prefix and suffix, sorted.
///
/// # Errors
/// [`DataError::Io`] if the folder cannot be listed.
pub(super) fn splits(folder: &Path, prefix: &str, suffix: &str) -> Result<Vec<String>, DataError> {
    let listing = fs::read_dir(folder).map_err(DataError::io(folder))?;
    let names = listing.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut splits: Vec<String> = names
        .filter_map(|name| {
            let split = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            (!split.is_empty()).then(|| split.to_owned())
        })
        .collect();
    splits.sort();
    Ok(splits)
}

/// The existing folders of a split's images: `images/SPLIT` and `images` if given, the first of `siblings`,
/// `DIR/images/SPLIT`, `DIR/images` and the other `siblings`. `None` if there are none.
pub(super) fn image_folders(
    dir: &Path,
    split: &str,
    images: Option<&Path>,
    siblings: &[PathBuf],
) -> Option<Vec<PathBuf>> {
    let nested = dir.join("images");
    let (first, rest) = siblings.split_at(siblings.len().min(1));
    let candidates = images.iter().map(|images| images.join(split));
    let mut candidates: Vec<PathBuf> = candidates.chain(first.iter().cloned()).collect();
    candidates.extend([nested.join(split), nested]);
    candidates.extend(rest.iter().cloned());
    candidates.retain(|folder| folder.is_dir());
    if let Some(images) = images {
        // Reported as missing if it is.
        let index = usize::from(images.join(split).is_dir());
        candidates.insert(index, images.to_owned());
    }
    (!candidates.is_empty()).then_some(candidates)
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

/// Key of an image without an id: the 64-bit FNV-1a hash of its file name in Unicode's composed form, without folder and
/// extension, which is the same in every data set with the image.
pub fn name_key(file: &str) -> u64 {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    composed_key(stem)
}

/// The 64-bit FNV-1a hash of a name in Unicode's composed form.
pub(super) fn composed_key(name: &str) -> u64 {
    fnv1a(composed(name).bytes())
}

/// Unicode's composed form (NFC) of a file name, in which equal names have equal bytes.
pub(super) fn composed(name: &str) -> Cow<'_, str> {
    match is_nfc(name) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.nfc().collect()),
    }
}
