//! The checkpoint store against damage, kills and full disks.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use vlp_train::{CheckpointStore, TrainError, TrainState};

fn state(step: u64) -> TrainState {
    TrainState {
        step,
        skipped: 1,
        skipped_in_row: 0,
        config: "c0ffee".into(),
    }
}

fn files(step: u64) -> Vec<(&'static str, Vec<u8>)> {
    vec![("model.bpk", vec![step as u8; 40]), ("ema.bpk", vec![7; 9])]
}

fn save(store: &CheckpointStore, step: u64, score: Option<f64>) {
    store.save(&state(step), &files(step), score).unwrap();
}

/// Every file below `folder` with its bytes.
fn tree(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(tree(&path)),
            false => all.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

#[test]
fn every_changed_byte_is_found_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), 2).unwrap();
    save(&store, 3, Some(0.25));
    save(&store, 4, Some(0.5));
    let whole = store.load(4).unwrap();
    let (mut found, mut harmless) = (0, 0);
    for (path, bytes) in tree(&folder.path().join("step-00000004")) {
        for at in 0..bytes.len() {
            for flip in [1u8, 0x10, 0x80] {
                let mut spoilt = bytes.clone();
                spoilt[at] ^= flip;
                fs::write(&path, &spoilt).unwrap();
                match store.load(4) {
                    Ok(read) => {
                        // White space of the manifest, nothing else.
                        assert!(path.ends_with("manifest.json"));
                        assert!(read.state == whole.state && read.files == whole.files);
                        harmless += 1;
                    }
                    Err(error) => {
                        let message = error.to_string();
                        assert!(message.contains("step-00000004/"), "{message}");
                        let (latest, refused) = store.latest().unwrap();
                        assert_eq!((latest.state.step, refused.len()), (3, 1));
                        found += 1;
                    }
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(found > 100 && harmless < found / 10, "{found}, {harmless}");
}

#[test]
fn truncated_and_missing_files_are_named_and_the_previous_checkpoint_serves() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), 2).unwrap();
    for (name, cut) in [
        ("model.bpk", Some(39)),
        ("model.bpk", Some(0)),
        ("ema.bpk", None),
        ("manifest.json", Some(100)),
        ("manifest.json", Some(0)),
        ("manifest.json", None),
    ] {
        save(&store, 1, None);
        save(&store, 2, None);
        let path = folder.path().join("step-00000002").join(name);
        match cut {
            Some(len) => fs::write(&path, &fs::read(&path).unwrap()[..len]).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let (latest, refused) = store.latest().unwrap();
        assert_eq!((latest.state, latest.files.len()), (state(1), 2));
        assert!(refused[0].to_string().contains(name), "{}", refused[0]);
    }
    fs::remove_file(folder.path().join("step-00000001/model.bpk")).unwrap();
    let message = store.latest().unwrap_err().to_string();
    assert!(message.contains("no complete checkpoint here"), "{message}");
    assert!(message.contains("step-00000001/model.bpk"), "{message}");
}

#[test]
fn half_written_checkpoints_go_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), 2).unwrap();
    save(&store, 1, None);
    for name in [".writing-77", ".git", "notes"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("model.bpk"), b"half").unwrap();
    }
    let store = CheckpointStore::open(folder.path(), 2).unwrap();
    assert_eq!(store.steps().unwrap(), [1]);
    assert_eq!(store.latest().unwrap().0.state, state(1));
    let there = |name: &str| folder.path().join(name).exists();
    assert!(!there(".writing-77") && there(".git") && there("notes"));
}

#[test]
fn a_file_of_a_checkpoint_is_asked_for_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), 1).unwrap();
    save(&store, 5, None);
    let checkpoint = store.load(5).unwrap();
    assert_eq!(checkpoint.file("ema.bpk").unwrap(), [7; 9]);
    let message = checkpoint.file("other.bpk").unwrap_err().to_string();
    assert!(message.contains("step-00000005/other.bpk"), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The newest `keep` and the best so far stay, and no more.
    #[test]
    fn best_and_last_are_kept(
        keep in 1usize..4,
        scores in proptest::collection::vec(proptest::option::of(-2i32..3), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(folder.path(), keep).unwrap();
        let mut best: Option<(u64, f64)> = None;
        for (at, score) in scores.iter().enumerate() {
            let step = at as u64 + 1;
            // Thirds have no exact decimal.
            let score = score.map(|s| f64::from(s) / 3.0);
            save(&store, step, score);
            if let Some(score) = score.filter(|s| best.is_none_or(|(_, b)| *s > b)) {
                best = Some((step, score));
            }
            prop_assert_eq!(store.best().unwrap(), best);
            let first = (step + 1).saturating_sub(keep as u64).max(1);
            let mut wanted: Vec<u64> = (first..=step).collect();
            wanted.extend(best.map(|(s, _)| s).filter(|s| *s < first));
            wanted.sort();
            prop_assert_eq!(store.steps().unwrap(), wanted);
        }
    }
}

#[test]
fn a_score_that_is_not_finite_is_no_score() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), 1).unwrap();
    save(&store, 1, Some(f64::NAN));
    save(&store, 2, Some(f64::INFINITY));
    assert_eq!(store.best().unwrap(), None);
}

/// A file system of 64 KiB, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(folder.path())
            .output();
        done.is_ok_and(|d| d.status.success())
            .then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_full_disk_leaves_earlier_checkpoints_as_they_were() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    };
    let folder = disk.0.path().join("checkpoints");
    let store = CheckpointStore::open(&folder, 1).unwrap();
    save(&store, 1, Some(1.0));
    let before = tree(&folder);
    let large = [
        ("model.bpk", vec![1; 1 << 10]),
        ("optimizer.bpk", vec![2; 1 << 17]),
    ];
    let error = store.save(&state(2), &large, Some(2.0)).unwrap_err();
    assert!(matches!(error, TrainError::Io { .. }));
    let message = error.to_string();
    assert!(
        message.contains("optimizer.bpk") && message.contains("disk full"),
        "{message}"
    );
    assert!(tree(&folder) == before);
    assert_eq!(store.latest().unwrap().0.state, state(1));
    // Smaller ones fit again: nothing half-written is left to fill the disk.
    save(&store, 3, None);
    assert_eq!(store.steps().unwrap(), [1, 3]);
}
