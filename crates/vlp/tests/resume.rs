//! A run that is killed and resumed, at any moment, ends with the bytes of an unbroken one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{hashes, resume, succeed, tiny};

const STEPS: u64 = 40;

/// Dropout, trained batch norms, a moving average, held-out scores on the way.
const SET: [&str; 6] = [
    "train.steps=40",
    "model.dropout=0.1",
    "model.backbone.norm=trained",
    "train.ema_decay=0.9",
    "checkpoint.every=2",
    "eval.every=8",
];

fn new(out: &Path, workers: usize) -> std::process::Command {
    let workers = format!("data.workers={workers}");
    let set: Vec<&str> = SET.into_iter().chain([workers.as_str()]).collect();
    tiny(out, &set)
}

/// Everything that must be equal: weights, optimiser state, average; losses and scores of every step.
fn outcome(run: &Path) -> (serde_json::Value, String) {
    let (step, files) = hashes(run);
    assert_eq!(step, STEPS);
    assert_eq!(files.as_object().unwrap().len(), 3);
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    (files, metrics)
}

fn half_written(run: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(run.join("checkpoints")) else {
        return false;
    };
    entries.any(|e| {
        e.unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with(".writing")
    })
}

/// Starts or resumes `run` and kills it when `now` says so; false where it finished before.
fn kill(run: &Path, workers: usize, mut now: impl FnMut(Duration) -> bool) -> bool {
    let mut command = match run.join("config.toml").exists() {
        true => resume(run),
        false => {
            // Killed before there was a run.
            let _ = std::fs::remove_dir_all(run);
            new(run, workers)
        }
    };
    let quiet = std::process::Stdio::null;
    let mut child = command.stdout(quiet()).stderr(quiet()).spawn().unwrap();
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{command:?}: {status}");
            return false;
        }
        if now(started.elapsed()) {
            child.kill().unwrap();
            return child.wait().unwrap().code().is_none();
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn killed_and_resumed_runs_end_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let unbroken = folder.path().join("unbroken");
    let started = Instant::now();
    succeed(&mut new(&unbroken, 1));
    let whole = started.elapsed().as_secs_f64();
    let wanted = outcome(&unbroken);
    let (mut kills, mut torn) = (0, 0);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for workers in [0, 1, 2, 3] {
        let run: PathBuf = folder.path().join(format!("broken-{workers}"));
        let saves = rng.random_range(1..4);
        for kind in 0..3 {
            let at = whole * rng.random_range(0.02..0.4);
            // Kills at any moment, and kills while a checkpoint is half written.
            let mut seen = 0;
            let killed = kill(&run, workers, |elapsed| match kind {
                0 => {
                    seen += u32::from(half_written(&run));
                    seen >= saves
                }
                _ => elapsed.as_secs_f64() >= at,
            });
            kills += u32::from(killed);
            torn += u32::from(half_written(&run));
        }
        succeed(&mut resume(&run));
        let found = outcome(&run);
        assert_eq!(found.0, wanted.0, "{workers} workers");
        assert!(found.1 == wanted.1, "metrics of {workers} workers");
        assert!(run.join("report.html").exists());
    }
    println!("{kills} kills, {torn} of them with a checkpoint half written");
    assert!(
        kills >= 6 && torn >= 1,
        "{kills} kills, {torn} while saving"
    );
}

#[test]
fn a_damaged_newest_checkpoint_is_passed_over_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, run) = (folder.path().join("whole"), folder.path().join("run"));
    let set = [
        "train.steps=7",
        "train.accumulate=2",
        "model.dropout=0.1",
        "checkpoint.every=2",
    ];
    succeed(&mut tiny(&whole, &set));
    // Stopped between two checkpoints; the run goes on from the one before.
    succeed(tiny(&run, &set).args(["--stop-at", "5"]));
    assert_eq!(hashes(&run).0, 4);
    let path = run.join("checkpoints/step-00000004/model.bpk");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    succeed(&mut resume(&run));
    assert_eq!(hashes(&run), hashes(&whole));
    let metrics = |run: &Path| std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(metrics(&run) == metrics(&whole));
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("passed over") && report.contains("step-00000004/model.bpk"));
}

#[test]
fn batches_side_by_side_resume_to_the_same_bytes() {
    // As the small presets train: two threads, trained batch norms, no dropout.
    let set = [
        "train.steps=7",
        "train.accumulate=2",
        "train.side_by_side=true",
        "model.backbone.norm=trained",
        "checkpoint.every=2",
    ];
    // In half of the memory, too.
    let less = [
        "train.optimizer.moments=bf16",
        "model.recompute=[\"backbone\",\"encoder\"]",
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, more) in [("plain", [].as_slice()), ("less", &less)] {
        let set = [&set, more].concat();
        let path = |part| folder.path().join(format!("{part}-{name}"));
        let (whole, run) = (path("whole"), path("run"));
        succeed(&mut tiny(&whole, &set));
        succeed(tiny(&run, &set).args(["--stop-at", "3"]));
        succeed(&mut resume(&run));
        assert_eq!(hashes(&run), hashes(&whole), "{name}");
        let metrics = |run: &Path| std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert!(metrics(&run) == metrics(&whole), "{name}");
    }
}

#[test]
fn a_finished_run_resumes_to_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &[]));
    let before = hashes(&run);
    succeed(&mut resume(&run));
    assert_eq!(hashes(&run), before);
}
