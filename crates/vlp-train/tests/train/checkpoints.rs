//! The checkpoint store: damaged files, interrupted writes, full disks, and selection of the best checkpoint.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use vlp_train::atomic_file::sha256_hex;
use vlp_train::{CheckpointScore, CheckpointStore, CheckpointWriter, TrainError, TrainState};

fn state(step: u64) -> TrainState {
    TrainState {
        step,
        skipped: 1,
        skipped_in_row: 0,
        config_hash: "c0ffee".into(),
    }
}

fn files(step: u64) -> Vec<(&'static str, Vec<u8>)> {
    vec![("model.bpk", vec![step as u8; 40]), ("ema.bpk", vec![7; 9])]
}

fn score(metric: &str, value: f64) -> CheckpointScore {
    CheckpointScore {
        metric: metric.into(),
        higher_is_better: metric != "loss",
        value,
    }
}

fn save_scored(writer: &CheckpointWriter, step: u64, score: &CheckpointScore) {
    writer
        .save(&state(step), &files(step), Some(score))
        .unwrap();
}

fn save(writer: &CheckpointWriter, step: u64) {
    writer.save(&state(step), &files(step), None).unwrap();
}

fn best_step(writer: &CheckpointWriter) -> Option<u64> {
    writer.store().best_step().unwrap().map(|(step, _)| step)
}

/// Every file below `folder` with its contents.
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
fn every_changed_byte_is_detected_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 2).unwrap();
    save_scored(&writer, 3, &score("accuracy", 0.25));
    save_scored(&writer, 4, &score("accuracy", 0.5));
    let intact = writer.store().at_step(4).unwrap();
    let (mut detected, mut harmless) = (0, 0);
    for (path, bytes) in tree(&folder.path().join("step-00000004")) {
        for index in 0..bytes.len() {
            for flip in [1u8, 0x10, 0x80] {
                let mut damaged = bytes.clone();
                damaged[index] ^= flip;
                fs::write(&path, &damaged).unwrap();
                match writer.store().at_step(4) {
                    Ok(checkpoint) => {
                        // White space in the manifest, nothing else.
                        assert!(path.ends_with("manifest.json"));
                        assert_eq!(checkpoint.state, intact.state);
                        assert!(checkpoint.files == intact.files);
                        harmless += 1;
                    }
                    // The format number itself was changed.
                    Err(TrainError::Version { .. }) => detected += 1,
                    Err(error) => {
                        let message = error.to_string();
                        assert!(message.contains("step-00000004/"), "{message}");
                        let (latest, errors) = writer.store().latest().unwrap();
                        assert_eq!((latest.state.step, errors.len()), (3, 1));
                        detected += 1;
                    }
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(
        detected > 100 && harmless < detected / 10,
        "{detected}, {harmless}"
    );
}

#[test]
fn latest_names_damaged_files_and_returns_the_previous_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 2).unwrap();
    for (name, length) in [
        ("model.bpk", Some(39)),
        ("model.bpk", Some(0)),
        ("ema.bpk", None),
        ("manifest.json", Some(100)),
        ("manifest.json", Some(0)),
        ("manifest.json", None),
    ] {
        save(&writer, 1);
        save(&writer, 2);
        let path = folder.path().join("step-00000002").join(name);
        match length {
            Some(len) => fs::write(&path, &fs::read(&path).unwrap()[..len]).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let (latest, errors) = writer.store().latest().unwrap();
        assert_eq!((latest.state, latest.files.len()), (state(1), 2));
        assert!(errors[0].to_string().contains(name), "{}", errors[0]);
    }
    fs::remove_file(folder.path().join("step-00000001/model.bpk")).unwrap();
    let message = writer.store().latest().unwrap_err().to_string();
    assert!(message.contains("no complete checkpoint here"), "{message}");
    assert!(message.contains("step-00000001/model.bpk"), "{message}");
}

#[test]
fn only_the_writer_that_holds_the_lock_removes_partial_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 2).unwrap();
    save(&writer, 1);
    for name in [".writing-77", ".writing-78-1", ".writing-notes", ".git"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("model.bpk"), b"half").unwrap();
    }
    let before = tree(folder.path());
    // Readers change nothing, whether or not a writer is at work; a second writer is refused.
    let read = || {
        let store = CheckpointStore::open(folder.path());
        assert_eq!(store.steps().unwrap(), [1]);
        assert_eq!(store.latest().unwrap().0.state, state(1));
        assert!(store.best().is_err() && store.at_step(1).is_ok());
        assert!(tree(folder.path()) == before);
    };
    read();
    let error = CheckpointWriter::open(folder.path(), 2).unwrap_err();
    assert!(matches!(error, TrainError::Locked { .. }), "{error}");
    drop(writer);
    read();
    let writer = CheckpointWriter::open(folder.path(), 2).unwrap();
    let exists = |name: &str| folder.path().join(name).exists();
    assert!(!exists(".writing-77") && !exists(".writing-78-1"));
    assert!(exists(".writing-notes") && exists(".git"));
    assert_eq!(writer.store().latest().unwrap().0.state, state(1));
}

#[test]
fn a_checkpoint_that_replaces_a_damaged_run_of_later_ones_stays() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    save(&writer, 3);
    let damaged = folder.path().join("step-00000006");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("manifest.json"), "").unwrap();
    assert_eq!(writer.store().latest().unwrap().0.state.step, 3);
    save(&writer, 4);
    assert_eq!(writer.store().steps().unwrap(), [4, 6]);
    assert_eq!(writer.store().latest().unwrap().0.state.step, 4);
    save(&writer, 6);
    assert_eq!(writer.store().steps().unwrap(), [6]);
    assert_eq!(writer.store().latest().unwrap().0.state.step, 6);
}

#[test]
fn what_a_killed_process_did_not_remove_is_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 9).unwrap();
    (1..4).for_each(|step| save(&writer, step));
    drop(writer);
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    assert_eq!(writer.store().steps().unwrap(), [1, 2, 3]);
    writer.prune(3).unwrap();
    assert_eq!(writer.store().steps().unwrap(), [3]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_missing_folder_has_no_checkpoints_and_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints");
    let store = CheckpointStore::open(&path);
    assert_eq!(store.steps().unwrap(), [0; 0]);
    let error = store.latest().unwrap_err();
    assert!(matches!(error, TrainError::NoCheckpoint { .. }), "{error}");
    assert!(!path.exists());
}

#[test]
fn folders_of_other_names_are_neither_read_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    let others = ["step-1", "step-+0000002", "step-00000003.old", "step-"];
    for name in others {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    // Nine digits sort after eight by number, not by name.
    for step in [4, 99_999_999, 100_000_000] {
        save(&writer, step);
        assert_eq!(writer.store().steps().unwrap(), [step]);
    }
    assert!(others.iter().all(|name| folder.path().join(name).is_dir()));
}

#[test]
fn missing_files_and_steps_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    save(&writer, 5);
    let checkpoint = writer.store().at_step(5).unwrap();
    assert_eq!(checkpoint.file("ema.bpk").unwrap(), [7; 9]);
    let message = checkpoint.file("other.bpk").unwrap_err().to_string();
    assert!(message.contains("step-00000005/other.bpk"), "{message}");
    let error = writer.store().at_step(6).unwrap_err();
    assert!(matches!(error, TrainError::NoStep { step: 6, .. }));
    let message = error.to_string();
    assert!(message.ends_with("steps with a checkpoint: 5"), "{message}");
    let error = writer.store().best().unwrap_err();
    assert!(matches!(error, TrainError::NoScore { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn newest_and_best_checkpoints_are_kept(
        higher_is_better: bool,
        keep in 1usize..4,
        values in proptest::collection::vec(proptest::option::of(-2i32..3), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let writer = CheckpointWriter::open(folder.path(), keep).unwrap();
        let mut best: Option<(u64, f64)> = None;
        let metric = if higher_is_better { "accuracy" } else { "loss" };
        for (step, value) in (1..).zip(values) {
            // Thirds have no exact decimal.
            let value = value.map(|v| f64::from(v) / 3.0);
            match value {
                Some(value) => save_scored(&writer, step, &score(metric, value)),
                None => save(&writer, step),
            }
            let better = |a: f64, b: f64| if higher_is_better { a > b } else { a < b };
            if let Some(value) = value.filter(|v| best.is_none_or(|(_, b)| better(*v, b))) {
                best = Some((step, value));
            }
            let actual = writer.store().best_step().unwrap().map(|(step, score)| (step, score.value));
            prop_assert_eq!(actual, best);
            let first = (step + 1).saturating_sub(keep as u64).max(1);
            let mut expected: Vec<u64> = (first..=step).collect();
            expected.extend(best.map(|(s, _)| s).filter(|s| *s < first));
            expected.sort();
            prop_assert_eq!(writer.store().steps().unwrap(), expected);
        }
    }
}

#[test]
fn scores_that_are_not_finite_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    save_scored(&writer, 1, &score("loss", f64::NAN));
    save_scored(&writer, 2, &score("accuracy", f64::INFINITY));
    assert_eq!(best_step(&writer), None);
}

#[test]
fn best_compares_only_the_metric_of_the_newest_score() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 9).unwrap();
    save_scored(&writer, 1, &score("dictionary/restarts", 1e6));
    assert_eq!(best_step(&writer), Some(1));
    save_scored(&writer, 2, &score("loss", 0.5));
    save_scored(&writer, 3, &score("loss", 0.75));
    save(&writer, 4);
    let best = writer.store().best().unwrap();
    assert_eq!(best.state, state(2));
    assert_eq!(best.score, Some(score("loss", 0.5)));
}

#[test]
fn other_formats_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 2).unwrap();
    save(&writer, 1);
    save(&writer, 2);
    let path = folder.path().join("step-00000002/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    for (format, reason) in [
        (1, "written by an older version: "),
        (99, "written by a newer version: "),
    ] {
        let other = text.replace("\"format\": 2", &format!("\"format\": {format}"));
        assert_ne!(other, text);
        fs::write(&path, other).unwrap();
        for error in [
            writer.store().at_step(2).unwrap_err(),
            writer.store().latest().unwrap_err(),
            writer.store().best().unwrap_err(),
        ] {
            let message = error.to_string();
            assert!(message.starts_with(reason), "{message}");
        }
    }
}

/// Anyone can write a manifest whose hash is right.
#[test]
fn files_outside_of_the_folder_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("step-00000001");
    fs::create_dir(&checkpoint).unwrap();
    for path in [folder.path().join("other"), checkpoint.join("model.bpk")] {
        fs::write(path, "x").unwrap();
    }
    let entry = json!({"bytes": 1, "sha256": sha256_hex(b"x")});
    let read = |name: &str| {
        let files = json!({ name: entry });
        let state = serde_json::to_string(&state(1)).unwrap();
        let hash = sha256_hex(format!("[2,{state},null,{files}]").as_bytes());
        let manifest =
            format!("{{\"format\":2,\"state\":{state},\"files\":{files},\"sha256\":\"{hash}\"}}");
        fs::write(checkpoint.join("manifest.json"), manifest).unwrap();
        CheckpointStore::open(folder.path()).at_step(1)
    };
    assert_eq!(read("model.bpk").unwrap().files["model.bpk"], b"x");
    for name in [
        "../other",
        "./model.bpk",
        "model.bpk/",
        "/dev/zero",
        "..",
        "",
    ] {
        let message = read(name).unwrap_err().to_string();
        let expected = format!("{name:?} is not the name of a file");
        assert!(message.contains(&expected), "{message}");
    }
}

/// A mounted file system of 64 KiB, unmounted on drop.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let output = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(folder.path())
            .output();
        output
            .is_ok_and(|o| o.status.success())
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
fn a_full_disk_leaves_earlier_checkpoints_unchanged() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: mounting a small file system needs root");
        return;
    };
    let folder = disk.0.path().join("checkpoints");
    let writer = CheckpointWriter::open(&folder, 1).unwrap();
    save_scored(&writer, 1, &score("accuracy", 1.0));
    let before = tree(&folder);
    let large = [
        ("model.bpk", vec![1; 1 << 10]),
        ("optimizer.bpk", vec![2; 1 << 17]),
    ];
    let better = score("accuracy", 2.0);
    let error = writer.save(&state(2), &large, Some(&better)).unwrap_err();
    assert!(matches!(error, TrainError::Io { .. }));
    let message = error.to_string();
    assert!(
        message.contains("optimizer.bpk") && message.contains("disk full"),
        "{message}"
    );
    assert!(tree(&folder) == before);
    assert_eq!(writer.store().latest().unwrap().0.state, state(1));
    // The partial checkpoint was removed, so a small one fits.
    save(&writer, 3);
    assert_eq!(writer.store().steps().unwrap(), [1, 3]);
}
