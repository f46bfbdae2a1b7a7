//! Seeds of targets that need burn.

use std::error::Error;
use std::fs;
use std::path::Path;

use vlp::config::PRESETS;
use vlp_train::{CheckpointScore, CheckpointWriter, TrainState};

use super::put;

pub(super) fn put_all(folder: &Path) -> Result<(), Box<dyn Error>> {
    for (name, text) in PRESETS {
        let text = format!("0preset = \"{name}\"\n{text}");
        put("configs", &format!("preset-{name}"), text.as_bytes())?;
    }
    let state = TrainState {
        step: 7,
        skipped: 1,
        skipped_in_row: 0,
        config_hash: "0".into(),
    };
    let score = CheckpointScore {
        metric: "vqa/accuracy".into(),
        higher_is_better: true,
        value: 0.5,
    };
    let writer = CheckpointWriter::open(folder.join("checkpoints"), 1)?;
    for (name, score) in [("plain", None), ("scored", Some(&score))] {
        let path = writer.save(&state, &[("model.bin", b"weights".to_vec())], score)?;
        let manifest = fs::read(path.join("manifest.json"))?;
        for mode in ["0", "1"] {
            let seed = [mode.as_bytes(), &manifest].concat();
            put("checkpoints", &format!("{name}-{mode}"), &seed)?;
        }
    }
    put(
        "checkpoints",
        "saved",
        b"2metric\x1e\0\0\0\0\0\0\xe0\x3fvalues\x1e",
    )?;
    put(
        "checkpoints",
        "changed",
        b"2metric\x1eweights\x1e\x10\0\x01\x02\0\x01",
    )
}
