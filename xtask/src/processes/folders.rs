//! Folders and programs of scenarios.

use std::fs;
use std::path::{Path, PathBuf};

use crate::peer::cargo;

/// Makes a folder that is empty.
pub(crate) fn empty(folder: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)
}

/// All files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = vec![];
    for path in entries(folder)? {
        match path.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

/// What is in a folder, in order.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    let paths = entries.map(|entry| Ok(entry.map_err(failed)?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, String>>()?;
    paths.sort();
    Ok(paths)
}

/// Builds what the arguments of `cargo build` say, and copies `built` of `target/debug`: another build could replace it.
pub(crate) fn build(
    root: &Path,
    arguments: &[&str],
    built: &str,
    copy: &Path,
) -> Result<(), String> {
    let status = cargo(root).arg("build").args(arguments).status();
    if !status.map_err(|e| format!("cargo: {e}"))?.success() {
        return Err(format!("{built} did not build"));
    }
    // Removed first: a process may still run it.
    let _ = fs::remove_file(copy);
    let built = root.join("target/debug").join(built);
    fs::copy(built, copy).map_err(|e| format!("{}: {e}", copy.display()))?;
    Ok(())
}
