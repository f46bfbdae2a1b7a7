//! Readers: valid and invalid records of each format, and real files if environment variables name them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod ids_and_files;
mod own_data;
mod pretraining;
mod robust;
mod tasks;
mod visual_genome;

use std::{fs, path::Path};

use tempfile::TempDir;
use vlp_data::{FileSource, Image, Limits, Source};

pub(crate) fn limits() -> Limits {
    Limits::default()
}

/// A folder with these images, each 8 x 6 pixels.
pub(crate) fn folder(images: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let image = Image::filled(8, 6, [9, 99, 199]);
    let image = image::RgbImage::from_raw(8, 6, image.rgb).unwrap();
    for name in images {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    }
    dir
}

pub(crate) fn put(dir: &TempDir, name: &str, text: impl AsRef<str>) -> std::path::PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, text.as_ref()).unwrap();
    path
}

/// Asserts that exactly these records are skipped: (record, part of the reason), in any order.
pub(crate) fn assert_skipped(source: &FileSource, expected: &[(&str, &str)]) {
    let report = source.report();
    for (record, reason) in expected {
        assert!(
            report
                .skipped_records
                .iter()
                .any(|f| f.record == *record && f.reason.contains(reason)),
            "{record}: {reason}: {:#?}",
            report.skipped_records
        );
    }
    assert_eq!(
        report.skipped_records.len(),
        expected.len(),
        "{:#?}",
        report.skipped_records
    );
    assert_eq!(report.skipped, expected.len());
    assert!(
        report
            .skipped_records
            .iter()
            .all(|f| Path::new(&f.file).is_file() && !f.source.is_empty())
    );
}

pub(crate) fn texts(source: &dyn Source) -> Vec<String> {
    let first = |index| source.captions(index).unwrap().swap_remove(0);
    (0..source.len()).map(first).collect()
}

/// Longer than the limit of captions.
pub(crate) fn long_text() -> String {
    "word ".repeat(2_000_000)
}
