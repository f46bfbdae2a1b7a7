//! Files that may not be there.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The text of a file; `None` only if there is no such file: what cannot be read must not be replaced.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_missing_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.md");
        assert_eq!(read_if_there(&file), Ok(None));
        fs::write(&file, [0xff]).unwrap();
        assert!(read_if_there(&file).unwrap_err().contains("page.md"));
        fs::write(&file, "text").unwrap();
        assert_eq!(read_if_there(&file), Ok(Some("text".into())));
    }
}
