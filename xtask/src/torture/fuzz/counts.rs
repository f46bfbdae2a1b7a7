//! Inputs that a target has run on the present code, over several runs of the command.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::processes::folders;
use crate::torture::hash::Fnv1a;

/// What a target has run without a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Count {
    /// Hash of the code, see [`code`].
    code: String,
    pub(super) inputs: usize,
    /// Date of the first of them.
    pub(super) since: String,
}

impl Count {
    /// The count in a file; none of other code.
    pub(super) fn read(file: &Path, code: &str, date: &str) -> Self {
        let bytes = fs::read(file).unwrap_or_default();
        let count = serde_json::from_slice(&bytes).ok();
        let count = count.filter(|count: &Self| count.code == code);
        count.unwrap_or_else(|| Self {
            code: code.into(),
            inputs: 0,
            since: date.into(),
        })
    }

    pub(super) fn write(&self, file: &Path) -> Result<(), String> {
        let failed = |e: String| format!("{}: {e}", file.display());
        let text = serde_json::to_string(self).map_err(|e| failed(e.to_string()))?;
        let folder = file.parent().unwrap_or(file);
        fs::create_dir_all(folder).map_err(|e| failed(e.to_string()))?;
        fs::write(file, text).map_err(|e| failed(e.to_string()))
    }
}

/// A hash of what a target runs: files and folders in `crates`, and the versions of all dependencies.
pub(super) fn code<'a>(
    root: &Path,
    sources: impl Iterator<Item = &'a str>,
) -> Result<String, String> {
    let mut files = vec![root.join("Cargo.lock")];
    for source in sources {
        let path = root.join("crates").join(source);
        match path.is_file() {
            true => files.push(path),
            false => files.extend(folders::files(&path)?),
        }
    }
    files.sort();
    let mut hash = Fnv1a::default();
    for file in files {
        let bytes = fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file);
        hash.add(name.to_string_lossy().as_bytes());
        hash.add(&bytes.len().to_le_bytes());
        hash.add(&bytes);
    }
    Ok(hash.text())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn inputs_add_up_on_the_same_code_only() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("crates/a/src/inner/mod.rs");
        fs::create_dir_all(source.parent().unwrap()).unwrap();
        fs::write(root.path().join("Cargo.lock"), "lock").unwrap();
        fs::write(&source, "one").unwrap();
        let code = || code(root.path(), ["a/src"].into_iter()).unwrap();
        let (first, file) = (code(), root.path().join("counts/a.json"));
        let mut count = Count::read(&file, &first, "2026-01-01");
        assert_eq!(count.inputs, 0);
        count.inputs += 5;
        count.write(&file).unwrap();
        let count = Count::read(&file, &first, "2026-01-02");
        assert_eq!((count.inputs, count.since.as_str()), (5, "2026-01-01"));
        fs::write(&source, "two").unwrap();
        let count = Count::read(&file, &code(), "2026-01-02");
        assert_eq!((count.inputs, count.since.as_str()), (0, "2026-01-02"));
        fs::write(&source, "one").unwrap();
        assert_eq!(code(), first);
        let file = super::code(root.path(), ["a/src/inner/mod.rs"].into_iter()).unwrap();
        assert_eq!(file, first, "a file, or the folder that has it alone");
        fs::write(root.path().join("Cargo.lock"), "lock 2").unwrap();
        assert_ne!(code(), first);
        assert!(super::code(root.path(), ["b/src"].into_iter()).is_err());
    }
}
