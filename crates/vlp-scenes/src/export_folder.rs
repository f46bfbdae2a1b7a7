//! The files of an export, in a temporary folder and in their place.

use std::{fs, io, path::Path};

use vlp_data::DataError;
use vlp_files::{PathError, create_folder, list_tree, sync_folder};

/// Moves the files below `from` to their places below `to`: images, then annotation files, `last` at the end. Each group is
/// on the disk before the next begins. Nothing is moved if a file with other contents is at one of the places.
pub(crate) fn move_files(from: &Path, to: &Path, last: &Path) -> Result<(), DataError> {
    let tree =
        list_tree(from).map_err(|PathError { path, source }| DataError::Io { path, source })?;
    let files = tree.files.iter();
    let mut files: Vec<&Path> = files
        .filter_map(|path| path.strip_prefix(from).ok())
        .collect();
    let rank = |path: &Path| match path.extension().and_then(|extension| extension.to_str()) {
        _ if path == last => 2,
        Some("json" | "jsonl") => 1,
        _ => 0,
    };
    files.sort_by_key(|path| rank(path));
    for path in &files {
        let place = to.join(path);
        if place.symlink_metadata().is_ok() && !have_same_bytes(&from.join(path), &place) {
            let reason =
                "it exists and has other contents, which would be lost; use another folder";
            let error = io::Error::new(io::ErrorKind::AlreadyExists, reason);
            return Err(DataError::io(&place)(error));
        }
    }
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

/// Whether both are files with the same contents, as those of an earlier call that was interrupted.
fn have_same_bytes(a: &Path, b: &Path) -> bool {
    match (fs::read(a), fs::read(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
