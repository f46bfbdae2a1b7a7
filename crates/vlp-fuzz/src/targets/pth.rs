use std::io::{Cursor, Write};

use vlp_weights::{CheckpointLayout, ImportPlan, WeightsFile};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::input::Mode;
use crate::must::{Must, accepted};
use crate::scratch::Scratch;

/// Values of each storage in bytes.
const STORAGE: [u8; 64] = [0x3f; 64];

/// A file of `torch.save` as it is (`0`), or the pickle of a state dict (`1`), which is put into an archive with four storages
/// of 64 bytes.
pub fn pth(scratch: &Scratch, input: &[u8]) {
    let Some((mode, bytes)) = Mode::split(input) else {
        return;
    };
    let path = match mode.below(2) {
        0 => scratch.write("weights.pth", bytes),
        _ => scratch.write("weights.pth", &archive(bytes)),
    };
    if let Some(file) = accepted(WeightsFile::open(path)) {
        check_tensors(&file);
    }
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let storages =
        ["a/data/0", "a/data/1", "a/data/2", "a/data/3"].map(|name| (name, &STORAGE[..]));
    let entries = [
        ("a/data.pkl", pickle),
        ("a/byteorder", &b"little"[..]),
        ("a/version", b"3\n"),
    ];
    for (name, bytes) in entries.into_iter().chain(storages) {
        writer.start_file(name, options).must(name);
        writer.write_all(bytes).must(name);
    }
    writer.finish().must("an archive").into_inner()
}

/// Reads every tensor, and matches the names with those of published checkpoints.
pub(super) fn check_tensors(file: &WeightsFile) {
    let _ = format!("{file:?} {:?}", file.metadata());
    for (name, info) in file.tensors() {
        if let Some(values) = accepted(file.read_f32(name)) {
            let count = info
                .shape
                .iter()
                .fold(1_usize, |count, side| count.saturating_mul(*side));
            assert_eq!(values.len(), count, "{name:?}");
        }
    }
    assert!(accepted(file.info("\u{0}none")).is_none());
    for layout in CheckpointLayout::ALL {
        let parameters = [
            ("model.backbone.conv1.weight".to_owned(), vec![64, 3, 7, 7]),
            (
                "model.encoder.layers.0.attention.query.weight".to_owned(),
                vec![2, 2],
            ),
        ];
        let plan = ImportPlan::new(layout, file, parameters);
        for copy in &plan.copies {
            let _ = accepted(file.read_parameter(copy));
        }
    }
    let _ = accepted(file.detect_layout());
}
