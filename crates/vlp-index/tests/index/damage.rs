//! Damaged files are never read as if they were whole.

use std::fs;
use std::path::Path;

use vlp_index::{Index, IndexWriter};

use crate::support::{files, header, write};

#[test]
fn every_changed_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path, 10, 9);
    for (name, bytes) in files(&path) {
        // Each byte of the short files, some of the others.
        for place in (0..bytes.len()).step_by(bytes.len() / 200 + 1) {
            let mut changed = bytes.clone();
            changed[place] ^= 0x10;
            fs::write(path.join(&name), &changed).unwrap();
            let is_noticed = match Index::open(&path) {
                Err(error) => {
                    error.to_string().contains("damaged") || error.to_string().contains("format")
                }
                Ok(index) => (0..9).any(|image| index.thumbnail(image).is_err()),
            };
            // White space of JSON is no content.
            let is_space = name == "index.json" && bytes[place].is_ascii_whitespace();
            assert!(is_noticed || is_space, "{name}, byte {place}");
        }
        fs::write(path.join(&name), &bytes).unwrap();
    }
    Index::open(&path).unwrap();
}

#[test]
fn truncated_and_missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path, 10, 9);
    for (name, bytes) in files(&path) {
        if name == ".lock" {
            continue;
        }
        let file = path.join(&name);
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(fails_with(&path, &name), 1, "{name} truncated");
        fs::remove_file(&file).unwrap();
        assert_eq!(fails_with(&path, &name), 1, "{name} removed");
        fs::write(&file, bytes).unwrap();
    }
    // An index with a damaged segment is not resumed either.
    let unfinished = folder.path().join("unfinished");
    write(&unfinished, 10, 2);
    let file = unfinished.join("000001.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    let line = IndexWriter::open(&unfinished, &header(10))
        .unwrap_err()
        .to_string();
    assert!(
        line.contains("000001.safetensors") && line.contains("SHA-256"),
        "{line}"
    );
}

/// 1 if reading the index or its thumbnails fails with a message that names the file, or the folder for `index.json`.
fn fails_with(path: &Path, name: &str) -> usize {
    let error = match Index::open(path) {
        Err(error) => error,
        Ok(index) => (0..9)
            .find_map(|image| index.thumbnail(image).err())
            .unwrap(),
    };
    let line = error.to_string();
    usize::from(line.contains(name))
}

#[test]
fn other_formats_and_unknown_fields_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path, 10, 9);
    let file = path.join("index.json");
    let text = fs::read_to_string(&file).unwrap();
    for (from, to, expected) in [
        (
            "\"format\": 2",
            "\"format\": 1",
            "its format is 1; this version of vlp-index reads format 2",
        ),
        ("\"complete\"", "\"finished\"", "unknown field `finished`"),
        ("\"preset\"", "\"presets\"", "unknown field `presets`"),
        (
            "\"complete\": true",
            "\"complete\": false",
            "do not match its SHA-256",
        ),
        ("{", "", "damaged"),
    ] {
        assert!(text.contains(from));
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let line = Index::open(&path).unwrap_err().to_string();
        assert!(line.contains(expected), "{line}");
    }
}
