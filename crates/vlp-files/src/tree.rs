//! What is below a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Everything below a folder, at any depth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Folders, each after those in it.
    pub folders: Vec<PathBuf>,
}

/// The files and folders below `folder`, whose path begins each of theirs.
///
/// # Errors
/// The folder that cannot be read, and why.
pub fn list_tree(folder: &Path) -> Result<Tree, (PathBuf, io::Error)> {
    let mut tree = Tree::default();
    add(folder, &mut tree)?;
    Ok(tree)
}

fn add(folder: &Path, tree: &mut Tree) -> Result<(), (PathBuf, io::Error)> {
    let failed = |error| (folder.to_path_buf(), error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(failed)?;
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
