//! Each target on its corpus.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use vlp_fuzz::{Scratch, TARGETS};

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// The inputs of a corpus, by path.
fn inputs(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(corpora().join(name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

#[test]
fn what_must_hold_does_for_every_input() {
    let scratch = Scratch::new();
    for (name, target) in TARGETS {
        for (path, input) in inputs(name) {
            let checked = catch_unwind(AssertUnwindSafe(|| target(&scratch, &input)));
            assert!(checked.is_ok(), "{}", path.display());
        }
    }
}

#[test]
fn each_target_has_a_program_and_a_small_corpus() {
    let manifest = fs::read_to_string(corpora().join("../Cargo.toml")).unwrap();
    let mut total = 0;
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name}");
        total += inputs.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    }
    assert!(total < 2 << 20, "{total} bytes");
    if cfg!(feature = "burn") {
        assert_eq!(fs::read_dir(corpora()).unwrap().count(), TARGETS.len());
    }
}
