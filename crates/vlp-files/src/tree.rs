//! What is below a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::PathError;

/// Everything below a folder, at any depth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Folders, each after those in it.
    pub folders: Vec<PathBuf>,
}

/// The files and folders below `folder`, as paths that begin with `folder`.
///
/// # Errors
/// [`PathError`] for a folder that cannot be read.
pub fn list_tree(folder: &Path) -> Result<Tree, PathError> {
    let mut tree = Tree::default();
    add(folder, &mut tree)?;
    Ok(tree)
}

fn add(folder: &Path, tree: &mut Tree) -> Result<(), PathError> {
    let entries = fs::read_dir(folder).map_err(PathError::new(folder))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths = paths.collect::<io::Result<Vec<_>>>();
    let mut paths = paths.map_err(PathError::new(folder))?;
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => {
                add(&path, tree)?;
                tree.folders.push(path);
            }
            false => tree.files.push(path),
        }
    }
    Ok(())
}
