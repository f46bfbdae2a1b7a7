//! SOHO, downstream tasks, prediction, dictionaries and weights from the command line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod failed_start;
mod finetune;
mod label_spaces;
mod no_gradient;
mod outputs;
mod own_data;
mod predict;
mod readers;
mod search;
mod serve;
mod serve_tasks;
mod sizes;
mod soho;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod tokenizer_copy;
mod unused_flags;
mod weights;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{set_values, vlp};

/// SOHO so small that a step takes some ten milliseconds.
const SOHO: [&str; 17] = [
    "data.batch_size=4",
    "data.scenes.resolution=32",
    "data.scenes.count=40",
    "model.d_model=16",
    "model.n_heads=2",
    "model.d_ff=32",
    "model.encoder_layers=1",
    "model.backbone.width=8",
    "model.quantizer.dictionary.codes=12",
    "objectives.mvm.probability=1.0",
    "eval.examples=4",
    "eval.images=1",
    "eval.retrieval=3",
    "train.schedule.warmup_steps=2",
    "train.steps=6",
    "checkpoint.every=2",
    "train.data_parallel_halves=true",
];

/// `vlp pretrain --preset soho-tiny --out OUT` on the smallest model, overridden by `set`.
fn soho_command(out: &Path, set: &[&str]) -> Command {
    let mut command = vlp(&["pretrain", "--preset", "soho-tiny", "--out"]);
    command.arg(out);
    set_values(&mut command, &SOHO);
    set_values(&mut command, set);
    command
}

fn results(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("results.json")).unwrap()).unwrap()
}

fn metric_names(run: &Path) -> Vec<String> {
    let results = results(run);
    let rows = results["trained"].as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap().to_string())
        .collect()
}
