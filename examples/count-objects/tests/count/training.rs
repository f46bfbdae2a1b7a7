//! Runs with the objective.

use std::path::Path;

use burn::prelude::*;
use count_objects::{CountConfig, pretrain};
use vlp::Results;
use vlp::config::{CheckpointChoice, Sources};
use vlp::eval::evaluate_trained;
use vlp::model::trained_objectives;
use vlp::run::RunFolder;
use vlp::train::{RunChoice, TrainOptions};
use vlp::{Datasets, RunConfig, TrainedModel, train_with};
use vlp_objectives::Score;
use vlp_train::log::read_records;
use vlp_train::trainer::MODEL_FILE;

use crate::tiny;

fn options(config: &RunConfig, run: RunChoice, stop_at: Option<u64>) -> TrainOptions {
    TrainOptions::new(config.clone(), run)
        .with_device("flex".into())
        .with_stop_at(stop_at)
}

fn train(config: &RunConfig, folder: &Path, count: Option<&CountConfig>) -> Results {
    let run = RunChoice::New(folder.into());
    pretrain(&options(config, run, None), count).unwrap()
}

fn accuracy(scores: &[Score]) -> Option<f64> {
    scores
        .iter()
        .find(|score| score.name == "count/accuracy")?
        .value
}

/// Losses of the counting objective, step by step.
fn losses(folder: &Path) -> Vec<f64> {
    let records = read_records(&folder.join("metrics.jsonl")).unwrap();
    (records.iter())
        .filter_map(|(_, record)| record.get("train/count")?.as_f64())
        .collect()
}

/// Fraction of the validation images that have the most frequent count.
fn majority(config: &RunConfig) -> f64 {
    let data = Datasets::open(config).unwrap();
    let (examples, _) = data
        .load_validation(config, 0..config.eval.examples)
        .unwrap();
    let mut images = [0; 7];
    for example in &examples {
        images[example.objects.as_ref().unwrap().len()] += 1;
    }
    f64::from(*images.iter().max().unwrap()) / examples.len() as f64
}

#[test]
fn a_short_run_learns_to_count() {
    let config = tiny(&[
        "train.steps=60",
        "train.optimizer.learning_rate=3e-3",
        "eval.examples=192",
        "checkpoint.best_by=count/accuracy",
    ]);
    let folder = tempfile::tempdir().unwrap();
    // An option is a set by itself.
    let results = train_with(
        &options(&config, RunChoice::New(folder.path().into()), None),
        |config, _, device| {
            Ok(Some(
                CountConfig::default().init(config.model.d_model(), device),
            ))
        },
    )
    .unwrap();
    assert_eq!(results.trained.len(), 1);
    let losses = losses(folder.path());
    assert_eq!(losses.len(), 60);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..10]), mean(&losses[50..]));
    let (before, after) = (accuracy(&results.initial), accuracy(&results.trained));
    let (before, after) = (before.unwrap(), after.unwrap());
    let majority = majority(&config);
    eprintln!(
        "loss {first:.3} -> {last:.3}, accuracy {before:.3} -> {after:.3}, majority {majority:.3}"
    );
    assert!(last < 0.8 * first, "{first} -> {last}");
    assert!(after > before + 0.1, "{before} -> {after}");
    assert!(after > majority + 0.1, "{after}, majority {majority}");
}

#[test]
fn resumed_run_equals_uninterrupted_run() {
    let config = tiny(&[
        "data.batch_size=4",
        "train.steps=6",
        "eval.examples=4",
        "checkpoint.every=3",
    ]);
    let count = CountConfig::default();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [whole, stopped] = [0, 1].map(|i| folders[i].path());
    let uninterrupted = train(&config, whole, Some(&count));
    let first_part = options(&config, RunChoice::New(stopped.into()), Some(3));
    pretrain(&first_part, Some(&count)).unwrap();
    let second_part = options(&config, RunChoice::Resume(stopped.into()), None);
    let resumed = pretrain(&second_part, Some(&count)).unwrap();

    assert!(accuracy(&uninterrupted.trained).is_some());
    assert_eq!(uninterrupted.initial, resumed.initial);
    assert_eq!(uninterrupted.trained, resumed.trained);
    let metrics = |run: &Path| read_records(&run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics(whole), metrics(stopped));

    // The path of the head has the index of its objective in the tuple.
    let folder = RunFolder::open(whole).unwrap().0;
    let weights = folder.checkpoints().join("step-00000006").join(MODEL_FILE);
    let bytes = std::fs::read(weights).unwrap();
    for name in ["objectives.0.itm.head.weight", "objectives.1.head.weight"] {
        let is_stored = bytes.windows(name.len()).any(|w| w == name.as_bytes());
        assert!(is_stored, "{name}");
    }

    let open = |count: CountConfig| {
        let last = CheckpointChoice::Last;
        TrainedModel::open_with(
            whole,
            last,
            &Device::flex(),
            |config, names, tokenizer, device| {
                let e2e = trained_objectives(config, names, tokenizer, device)?;
                Ok((e2e, Some(count.init(config.model.d_model(), device))))
            },
        )
    };
    let evaluated = evaluate_trained(&open(count).unwrap(), &Sources::default()).unwrap();
    assert_eq!(evaluated.scores, uninterrupted.trained);
    let other = CountConfig {
        max: 9,
        ..CountConfig::default()
    };
    let error = open(other).unwrap_err().to_string();
    assert!(error.contains("do not fit"), "{error}");
    let error = TrainedModel::open(whole, &Device::flex())
        .unwrap_err()
        .to_string();
    assert!(error.contains("train_with"), "{error}");
}

#[test]
fn switched_off_objective_has_no_losses_and_metrics() {
    let config = tiny(&["data.batch_size=4", "train.steps=1", "eval.examples=4"]);
    let folder = tempfile::tempdir().unwrap();
    let results = train(&config, folder.path(), None);
    assert!(accuracy(&results.trained).is_none() && losses(folder.path()).is_empty());
    assert!(
        results
            .trained
            .iter()
            .any(|score| score.name == "itm/accuracy")
    );
}
