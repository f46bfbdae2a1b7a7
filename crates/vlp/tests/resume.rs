//! A run that is killed at any moment and resumed is bit-identical to an uninterrupted one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::{TINY, fail, hashes, resume, succeed, tiny};
use vlp::VlpError;
use vlp::config::{Sources, resolve};
use vlp::train::{RunChoice, TrainOptions};

const STEPS: u64 = 40;

/// Dropout, trained batch norms, a moving average, evaluation during training.
const SET: [&str; 6] = [
    "train.steps=40",
    "model.dropout=0.1",
    "model.backbone.norm=trained",
    "train.ema_decay=0.9",
    "checkpoint.every=2",
    "eval.every=8",
];

fn new_run(out: &Path, workers: usize) -> std::process::Command {
    let workers = format!("data.workers={workers}");
    let set: Vec<&str> = SET.into_iter().chain([workers.as_str()]).collect();
    tiny(out, &set)
}

/// What must be equal: weights, optimizer state, average; losses and metrics of every step.
fn outcome(run: &Path) -> (serde_json::Value, String) {
    let (step, files) = hashes(run);
    assert_eq!(step, STEPS);
    assert_eq!(files.as_object().unwrap().len(), 3);
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    (files, metrics)
}

fn is_saving(run: &Path) -> bool {
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

/// Starts or resumes `run` and kills it when `now` returns true. Returns false if it finished before.
fn kill(run: &Path, workers: usize, mut now: impl FnMut(Duration) -> bool) -> bool {
    let mut command = match run.join("config.toml").exists() {
        true => resume(run),
        false => {
            // It was killed before it created the run.
            let _ = std::fs::remove_dir_all(run);
            new_run(run, workers)
        }
    };
    let null = std::process::Stdio::null;
    let mut child = command.stdout(null()).stderr(null()).spawn().unwrap();
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
fn killed_and_resumed_runs_are_bit_identical() {
    let folder = tempfile::tempdir().unwrap();
    let uninterrupted = folder.path().join("uninterrupted");
    let started = Instant::now();
    succeed(&mut new_run(&uninterrupted, 1));
    let seconds = started.elapsed().as_secs_f64();
    let expected = outcome(&uninterrupted);
    let (mut kills, mut kills_while_saving) = (0, 0);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for workers in [0, 1, 2, 3] {
        let run: PathBuf = folder.path().join(format!("resumed-{workers}"));
        let saves = rng.random_range(1..4);
        for kind in 0..3 {
            let limit = seconds * rng.random_range(0.02..0.4);
            // Kills at any moment, and kills while a checkpoint is being written.
            let mut saving = 0;
            let killed = kill(&run, workers, |elapsed| match kind {
                0 => {
                    saving += u32::from(is_saving(&run));
                    saving >= saves
                }
                _ => elapsed.as_secs_f64() >= limit,
            });
            kills += u32::from(killed);
            kills_while_saving += u32::from(is_saving(&run));
        }
        succeed(&mut resume(&run));
        let resumed = outcome(&run);
        assert_eq!(resumed.0, expected.0, "{workers} workers");
        assert!(resumed.1 == expected.1, "metrics of {workers} workers");
        assert!(run.join("report.html").exists());
    }
    println!("{kills} kills, {kills_while_saving} of them while saving");
    assert!(
        kills >= 6 && kills_while_saving >= 1,
        "{kills} kills, {kills_while_saving} while saving"
    );
}

#[test]
fn damaged_newest_checkpoint_is_skipped_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let uninterrupted = folder.path().join("uninterrupted");
    let run = folder.path().join("run");
    let set = [
        "train.steps=7",
        "train.accumulate=2",
        "model.dropout=0.1",
        "checkpoint.every=2",
    ];
    succeed(&mut tiny(&uninterrupted, &set));
    // Stopped between two checkpoints, which saves a further one.
    succeed(tiny(&run, &set).args(["--stop-at", "5"]));
    assert_eq!(hashes(&run).0, 5);
    let path = run.join("checkpoints/step-00000005/model.bpk");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    succeed(&mut resume(&run));
    assert_eq!(hashes(&run), hashes(&uninterrupted));
    let metrics = |run: &Path| std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(metrics(&run) == metrics(&uninterrupted));
    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("checkpoint skipped") && report.contains("step-00000005/model.bpk"));
}

#[test]
fn resumed_data_parallel_run_is_bit_identical() {
    // As in the small presets: two threads, trained batch norms, no dropout.
    let set = [
        "train.steps=7",
        "train.accumulate=2",
        "train.data_parallel_halves=true",
        "model.backbone.norm=trained",
        "checkpoint.every=2",
    ];
    // With the options that reduce memory too.
    let low_memory = [
        "train.optimizer.moment_dtype=bf16",
        "model.recompute=[\"backbone\",\"encoder\"]",
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [("plain", [].as_slice()), ("low-memory", &low_memory)] {
        let set = [&set, options].concat();
        let path = |part| folder.path().join(format!("{part}-{name}"));
        let (uninterrupted, run) = (path("uninterrupted"), path("run"));
        succeed(&mut tiny(&uninterrupted, &set));
        succeed(tiny(&run, &set).args(["--stop-at", "3"]));
        succeed(&mut resume(&run));
        assert_eq!(hashes(&run), hashes(&uninterrupted), "{name}");
        let metrics = |run: &Path| std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        assert!(metrics(&run) == metrics(&uninterrupted), "{name}");
    }
}

#[test]
fn resuming_a_finished_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &[]));
    let before = hashes(&run);
    succeed(&mut resume(&run));
    assert_eq!(hashes(&run), before);
}

/// Stops `run` by a signal after some steps, which ends with a checkpoint of the last one. Returns stderr.
#[cfg(unix)]
fn stop(command: &mut std::process::Command, run: &Path, signal: &str) -> String {
    let null = std::process::Stdio::null;
    let piped = std::process::Stdio::piped();
    let child = command.stdout(null()).stderr(piped).spawn().unwrap();
    let metrics = || std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let steps = metrics().lines().count();
    while metrics().lines().count() < steps + 5 {
        std::thread::sleep(Duration::from_micros(100));
    }
    let mut kill = std::process::Command::new("kill");
    succeed(kill.args(["-s", signal, &child.id().to_string()]));
    let output = child.wait_with_output().unwrap();
    let stderr = support::stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{signal}: {stderr}");
    stderr
}

#[test]
#[cfg(unix)]
fn signals_save_the_step_and_exit_with_75() {
    let folder = tempfile::tempdir().unwrap();
    let uninterrupted = folder.path().join("uninterrupted");
    succeed(&mut new_run(&uninterrupted, 1));
    let run = folder.path().join("stopped");
    // All checkpoints but the last are those of the signals.
    let new_run = tiny(
        &run,
        &[&SET[..], &["data.workers=1", "checkpoint.every=0"]].concat(),
    );
    for (mut command, signal) in [(new_run, "TERM"), (resume(&run), "INT")] {
        let stderr = stop(&mut command, &run, signal);
        let (step, _) = hashes(&run);
        let message = format!("stopped after step {step}, which is saved; resume with");
        assert!(stderr.contains(&message), "{signal}: {stderr}");
    }
    succeed(&mut resume(&run));
    assert!(outcome(&run) == outcome(&uninterrupted));
}

#[test]
#[cfg(unix)]
fn a_signal_interrupts_an_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let [run, uninterrupted] = ["run", "uninterrupted"].map(|name| folder.path().join(name));
    let set = [
        &SET[..],
        &["data.workers=1", "eval.examples=400", "eval.every=0"],
    ]
    .concat();
    succeed(&mut tiny(&uninterrupted, &set));
    let null = std::process::Stdio::null;
    let child = tiny(&run, &set)
        .stdout(null())
        .stderr(null())
        .spawn()
        .unwrap();
    // Written just before the evaluation of the initial weights.
    while !run.join("metrics.jsonl").exists() {
        std::thread::sleep(Duration::from_micros(100));
    }
    let mut kill = std::process::Command::new("kill");
    succeed(kill.arg(child.id().to_string()));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(75));
    let results = std::fs::read_to_string(run.join("results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    assert_eq!(
        results["initial"],
        serde_json::json!([]),
        "interrupted before its end"
    );
    succeed(&mut resume(&run));
    assert!(outcome(&run) == outcome(&uninterrupted));
}

#[test]
fn a_run_is_saved_at_the_step_to_stop_at() {
    let folder = tempfile::tempdir().unwrap();
    let [uninterrupted, run] = ["uninterrupted", "my run"].map(|name| folder.path().join(name));
    let set = ["checkpoint.every=0", "eval.every=3"];
    succeed(&mut tiny(&uninterrupted, &set));
    let line = fail(tiny(&run, &set).args(["--stop-at", "5"]));
    let reason = "--stop-at 5: the run ends at train.steps = 4; use a step from 0 to 4";
    assert!(line.contains(reason), "{line}");
    assert!(!run.exists());
    let message = |step: u64| {
        format!(
            "stopped after step {step}, which is saved; resume with: vlp pretrain --resume '{}'",
            run.display()
        )
    };
    let output = tiny(&run, &set).args(["--stop-at", "2"]).output().unwrap();
    let text = support::stderr(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&message(2)), "{text}");
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("validation examples, 2 steps"), "{table}");
    assert_eq!(hashes(&run).0, 2);
    let line = fail(resume(&run).args(["--stop-at", "1"]));
    let reason = "--stop-at 1: the run is at step 2 already; use a step from 2 to 4";
    assert!(line.contains(reason), "{line}");
    for step in [2, 3] {
        let text = succeed(resume(&run).args(["--stop-at", &step.to_string()]));
        assert!(text.contains(&message(step)), "{text}");
        assert_eq!(hashes(&run).0, step);
    }
    let text = succeed(resume(&run).args(["--stop-at", "4"]));
    assert!(!text.contains("stopped after"), "{text}");
    assert_eq!(hashes(&run), hashes(&uninterrupted));
    let metrics = |run: &Path| std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(metrics(&run) == metrics(&uninterrupted));
}

#[test]
fn stop_before_the_first_step_saves_the_initial_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (uninterrupted, run) = (
        folder.path().join("uninterrupted"),
        folder.path().join("run"),
    );
    succeed(&mut tiny(&uninterrupted, &[]));
    let sources = Sources {
        set: TINY.map(str::to_owned).to_vec(),
        ..Sources::default()
    };
    let config = resolve(&sources).unwrap();
    let choices = [RunChoice::New(run.clone()), RunChoice::Resume(run.clone())];
    for choice in choices {
        let stop = Arc::new(AtomicBool::new(true));
        let options = TrainOptions::new(config.clone(), choice).with_stop(Some(stop));
        let error = vlp::train::train(&options).unwrap_err();
        assert!(
            matches!(error, VlpError::Stopped { step: 0, .. }),
            "{error}"
        );
        assert_eq!(hashes(&run).0, 0);
    }
    succeed(&mut resume(&run));
    assert_eq!(hashes(&run), hashes(&uninterrupted));
    let metrics = |run: &Path| std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(metrics(&run) == metrics(&uninterrupted));
}
