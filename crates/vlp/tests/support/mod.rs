//! Running the program on a model small enough for tests.

#![allow(dead_code, reason = "each test program uses a part")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use vlp_scenes::{Scenes, ScenesConfig, Split};

/// Sizes with which a step takes some ten milliseconds.
pub(crate) const TINY: [&str; 16] = [
    "data.batch_size=4",
    "data.scenes.resolution=32",
    "data.scenes.count=40",
    "model.d_model=16",
    "model.n_heads=2",
    "model.d_ff=32",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.backbone.width=8",
    "objectives.detection.num_queries=5",
    "eval.examples=4",
    "eval.images=1",
    "train.schedule.warmup_steps=2",
    "train.accumulate=1",
    "train.data_parallel_halves=false",
    "train.steps=4",
];

/// `vlp ARGS`.
pub(crate) fn vlp(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vlp"));
    command.args(args);
    command
}

/// `vlp pretrain --out OUT` on the smallest model, overridden by `set`.
pub(crate) fn tiny(out: &Path, set: &[&str]) -> Command {
    let mut command = vlp(&["pretrain", "--out"]);
    command.arg(out);
    set_values(&mut command, &TINY);
    set_values(&mut command, set);
    command
}

/// Adds `--set ENTRY` for each entry.
pub(crate) fn set_values(command: &mut Command, entries: &[&str]) {
    for entry in entries {
        command.args(["--set", entry]);
    }
}

/// COCO and VQA files of `count` scenes of a split in `dir`.
pub(crate) fn write_scenes(dir: &Path, split: Split, count: usize) {
    let config = ScenesConfig::default()
        .with_resolution(32)
        .with_count(count)
        .with_split(split);
    Scenes::new(config).unwrap().write_to(dir).unwrap();
}

pub(crate) fn resume(run: &Path) -> Command {
    let mut command = vlp(&["pretrain", "--resume"]);
    command.arg(run);
    command
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that must succeed. Returns its stderr.
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// Runs a command that must fail with exit code 1, an error line and no panic. Returns the line.
pub(crate) fn fail(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
    assert!(
        !text.contains("panicked") && !text.contains("RUST_BACKTRACE"),
        "{text}"
    );
    let line = text.lines().find(|l| l.starts_with("error: "));
    line.unwrap_or_else(|| panic!("no error line: {text}"))
        .into()
}

/// Records of `metrics.jsonl` that hold losses.
pub(crate) fn losses(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record.get("train/loss").is_some())
        .collect()
}

/// Step of the newest checkpoint, and SHA-256 of its weights, optimizer state and average from its manifest.
pub(crate) fn hashes(run: &Path) -> (u64, Value) {
    let mut steps: Vec<_> = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("manifest.json").exists())
        .collect();
    steps.sort();
    let text = std::fs::read(steps.last().unwrap().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    (
        manifest["state"]["step"].as_u64().unwrap(),
        manifest["files"].clone(),
    )
}
