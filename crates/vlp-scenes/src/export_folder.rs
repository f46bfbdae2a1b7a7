//! The files of an export, in a temporary folder and in their place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use vlp_data::DataError;
use vlp_files::{create_folder, sync_folder};

/// Moves the files below `from` to their places below `to`: images, then annotation files, `last` at the end. Each group is
/// on the disk before the next begins.
pub(crate) fn move_files(from: &Path, to: &Path, last: &Path) -> Result<(), DataError> {
    let mut files = vec![];
    list(from, Path::new(""), &mut files)?;
    let rank = |path: &Path| match path.extension().and_then(|extension| extension.to_str()) {
        _ if path == last => 2,
        Some("json" | "jsonl") => 1,
        _ => 0,
    };
    files.sort_by_key(|path| rank(path));
    for group in files.chunk_by(|a, b| rank(a) == rank(b)) {
        let mut folders = vec![];
        for path in group {
            let place = to.join(path);
            let folder = place.parent().unwrap_or(to).to_owned();
            create_folder(&folder).map_err(DataError::io(&folder))?;
            fs::rename(from.join(path), &place).map_err(DataError::io(&place))?;
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        for folder in folders {
            sync_folder(&folder).map_err(DataError::io(&folder))?;
        }
    }
    Ok(())
}

/// The files below `root`/`folder`, as paths below `root`.
fn list(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for path in entries(&root.join(folder))? {
        let place = folder.join(path.file_name().unwrap_or_default());
        match path.is_dir() {
            true => list(root, &place, files)?,
            false => files.push(place),
        }
    }
    Ok(())
}

/// In the order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = fs::read_dir(folder).map_err(DataError::io(folder))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths = paths
        .collect::<std::io::Result<Vec<PathBuf>>>()
        .map_err(DataError::io(folder))?;
    paths.sort();
    Ok(paths)
}
