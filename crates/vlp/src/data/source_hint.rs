//! Suggestions for a source that cannot be opened.

use std::fs;
use std::path::{Path, PathBuf};

use vlp_data::DataError;
use vlp_data::read::{CocoFiles, VqaFiles, is_system_file};
use vlp_data::shards;

use crate::config::SourceKind;

/// Appended to messages about missing images.
pub const IMAGES_HINT: &str = "; set data.images to the folder of the images";

/// The usage that would open a source, after a semicolon; empty if there is none.
pub(super) fn hint(kind: &SourceKind, error: &DataError) -> String {
    let (name, dir, split, splits) = match kind {
        SourceKind::Coco(dir, split) => {
            ("coco", dir.clone(), split.clone(), CocoFiles::splits(dir))
        }
        SourceKind::Vqa(path, split) => {
            let (dir, split) = vqa_split(path, split.as_deref());
            let splits = VqaFiles::splits(&dir);
            ("vqa", dir, split, splits)
        }
        SourceKind::Shards(path) => return shards_hint(path),
        _ => return images_hint(&error.to_string()).into(),
    };
    let splits = splits.unwrap_or_default();
    let is_ambiguous = match split {
        Some(split) => !splits.contains(&split),
        None => splits.len() != 1,
    };
    if !is_ambiguous {
        return images_hint(&error.to_string()).into();
    }
    let usages: Vec<String> = splits
        .iter()
        .map(|split| format!("\"{name}:{}@{split}\"", dir.display()))
        .collect();
    match (usages.is_empty(), name) {
        (false, _) => format!("; use {}", usages.join(" or ")),
        (true, "coco") => "; use a folder with annotations/captions_SPLIT.json and images".into(),
        (true, _) => {
            "; use \"vqa:DIR@SPLIT\", where DIR has v2_OpenEnded_mscoco_SPLIT_questions.json".into()
        }
    }
}

/// What to set if a message says that images are missing.
fn images_hint(message: &str) -> &'static str {
    match message.contains("is missing") || message.contains("folder of images") {
        true => IMAGES_HINT,
        false => "",
    }
}

/// Folders of shards in a folder without.
fn shards_hint(path: &Path) -> String {
    let folders = fs::read_dir(path).into_iter().flatten().flatten();
    let mut usages: Vec<String> = folders
        .map(|entry| entry.path())
        .filter(|folder| has_shards(folder))
        .map(|folder| format!("\"shards:{}\"", folder.display()))
        .collect();
    usages.sort();
    match usages.is_empty() {
        true => String::new(),
        false => format!("; use {}", usages.join(" or ")),
    }
}

/// Whether a folder has tar files, or the manifest of packed shards.
pub fn has_shards(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names = names.map(|name| name.to_ascii_lowercase());
    folder.join(shards::MANIFEST).is_file()
        || names.any(|name| !is_system_file(&name) && is_tar(&name))
}

/// Whether a file name is that of a tar file, possibly compressed.
pub fn is_tar(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".tar") || name.ends_with(".tgz") || name.contains(".tar.")
}

/// Folder and split of a `vqa:` source: `DIR@SPLIT`, `DIR/SPLIT`, or `DIR` with a single split.
pub(super) fn vqa_split(path: &Path, split: Option<&str>) -> (PathBuf, Option<String>) {
    if let Some(split) = split {
        return (path.into(), Some(split.into()));
    }
    match VqaFiles::splits(path).as_deref() {
        Ok([split]) => (path.into(), Some(split.clone())),
        Ok([_, ..]) => (path.into(), None),
        _ => {
            let split = path.file_name().unwrap_or_default().to_string_lossy();
            let dir = path.parent().unwrap_or(Path::new("."));
            let dir = match dir.as_os_str().is_empty() {
                true => Path::new("."),
                false => dir,
            };
            (dir.into(), Some(split.into_owned()))
        }
    }
}
