//! Readers: one table of good and bad records for each format, and real files where variables name them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod pretraining;
mod robust;
mod tasks;

use std::{fs, path::Path};

use tempfile::TempDir;
use vlp_data::{FileSource, Limits, Picture, Source};

pub(crate) fn limits() -> Limits {
    Limits::default()
}

/// A folder with pictures of 8 x 6 pixels.
pub(crate) fn folder(pictures: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let picture = Picture::filled(8, 6, [9, 99, 199]);
    let image = image::RgbImage::from_raw(8, 6, picture.rgb).unwrap();
    for name in pictures {
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

/// The faults are exactly these (record, part of the reason), in any order.
pub(crate) fn faults(source: &FileSource, expected: &[(&str, &str)]) {
    let report = source.report();
    for (record, reason) in expected {
        assert!(
            report
                .faults
                .iter()
                .any(|f| f.record == *record && f.reason.contains(reason)),
            "{record}: {reason}: {:#?}",
            report.faults
        );
    }
    assert_eq!(report.faults.len(), expected.len(), "{:#?}", report.faults);
    assert_eq!(report.left_out, expected.len());
    assert!(
        report
            .faults
            .iter()
            .all(|f| Path::new(&f.file).is_file() && !f.source.is_empty())
    );
}

pub(crate) fn texts(source: &dyn Source) -> Vec<String> {
    let first = |index| source.captions(index).unwrap().swap_remove(0);
    (0..source.len()).map(first).collect()
}

pub(crate) fn long() -> String {
    "word ".repeat(2_000_000)
}
