//! Runs with the objective.

use std::path::Path;

use count_objects::{CountConfig, pretrain};
use vlp::Results;
use vlp::pretrain::{PretrainOptions, RunChoice};
use vlp::run::RunFolder;
use vlp::{Datasets, RunConfig, View, pretrain_with};
use vlp_train::log::read_all;
use vlp_train::trainer::MODEL;

use crate::tiny;

fn options(config: &RunConfig, run: RunChoice, stop_at: Option<u64>) -> PretrainOptions {
    PretrainOptions {
        config: config.clone(),
        run,
        device: "flex".into(),
        stop_at,
    }
}

fn train(config: &RunConfig, folder: &Path, count: Option<&CountConfig>) -> Results {
    let run = RunChoice::New(folder.into());
    pretrain(&options(config, run, None), count).unwrap()
}

fn accuracy(scores: &[(String, Option<f64>)]) -> Option<f64> {
    scores.iter().find(|(name, _)| name == "count accuracy")?.1
}

/// Losses of the counting objective, step by step.
fn losses(folder: &Path) -> Vec<f64> {
    let records = read_all(&folder.join("metrics.jsonl")).unwrap();
    (records.iter())
        .filter_map(|(_, record)| record.get("loss/count")?.as_f64())
        .collect()
}

/// Share of the held-out pictures that have the commonest count.
fn majority(config: &RunConfig) -> f64 {
    let data = Datasets::open(config).unwrap();
    let (examples, _) = data.heldout(config, 0..config.eval.examples);
    let mut pictures = [0; 7];
    for example in &examples {
        pictures[example.objects.as_ref().unwrap().len()] += 1;
    }
    f64::from(*pictures.iter().max().unwrap()) / examples.len() as f64
}

#[test]
fn a_short_run_learns_to_count() {
    let config = tiny(&[
        "train.steps=60",
        "train.optimizer.learning_rate=3e-3",
        "eval.examples=192",
    ]);
    let folder = tempfile::tempdir().unwrap();
    // Alone: an option is a set by itself.
    let results = pretrain_with(
        &options(&config, RunChoice::New(folder.path().into()), None),
        |config, _, device| {
            Ok(Some(
                CountConfig::default().init(config.model.d_model(), device),
            ))
        },
        |_| View::default(),
    )
    .unwrap();
    assert_eq!(results.trained.len(), 1);
    let losses = losses(folder.path());
    assert_eq!(losses.len(), 60);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..10]), mean(&losses[50..]));
    let (before, after) = (accuracy(&results.untrained), accuracy(&results.trained));
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
fn a_resumed_run_with_all_five_is_the_unbroken_one() {
    let config = tiny(&[
        "data.batch_size=4",
        "train.steps=6",
        "eval.examples=4",
        "checkpoint.every=3",
    ]);
    let count = CountConfig::default();
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (whole, broken) = (whole.path(), broken.path());
    let unbroken = train(&config, whole, Some(&count));
    let stopped = options(&config, RunChoice::New(broken.into()), Some(3));
    pretrain(&stopped, Some(&count)).unwrap();
    let resumed = options(&config, RunChoice::Resume(broken.into()), None);
    let resumed = pretrain(&resumed, Some(&count)).unwrap();

    assert!(accuracy(&unbroken.trained).is_some());
    assert_eq!(unbroken.untrained, resumed.untrained);
    assert_eq!(unbroken.trained, resumed.trained);
    let metrics = |run: &Path| read_all(&run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics(whole), metrics(broken));

    // The head is in the checkpoint under the place of its objective in the tuple.
    let folder = RunFolder::open(whole).unwrap().0;
    let weights = folder.checkpoints().join("step-00000006").join(MODEL);
    let bytes = std::fs::read(weights).unwrap();
    for name in ["objectives.0.itm.head.weight", "objectives.1.head.weight"] {
        let found = bytes.windows(name.len()).any(|w| w == name.as_bytes());
        assert!(found, "{name}");
    }
}

#[test]
fn switched_off_it_leaves_no_trace() {
    let config = tiny(&["data.batch_size=4", "train.steps=1", "eval.examples=4"]);
    let folder = tempfile::tempdir().unwrap();
    let results = train(&config, folder.path(), None);
    assert!(accuracy(&results.trained).is_none() && losses(folder.path()).is_empty());
    assert!(
        results
            .trained
            .iter()
            .any(|(name, _)| name == "ITM accuracy")
    );
}
