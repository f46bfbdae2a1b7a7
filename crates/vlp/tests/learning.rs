//! A short run on generated scenes learns every objective.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod support;

use serde_json::Value;
use support::{losses, succeed, tiny};

#[test]
fn losses_of_all_objectives_decrease() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    // One large plain object of eight kinds: so simple that matching is learned within seconds.
    succeed(&mut tiny(
        &run,
        &[
            "train.steps=600",
            "train.schedule.warmup_steps=50",
            "train.optimizer.learning_rate=2e-3",
            "data.batch_size=16",
            "data.scenes.count=20000",
            "data.scenes.max_objects=1",
            "data.scenes.min_extent=0.6",
            "data.scenes.max_extent=0.8",
            "data.scenes.sizes=[\"large\"]",
            "data.scenes.textures=[\"plain\"]",
            "data.scenes.backgrounds=[\"plain\"]",
            "data.scenes.shapes=[\"circle\",\"square\"]",
            "data.scenes.colors=[\"red\",\"blue\",\"green\",\"yellow\"]",
            "model.d_model=64",
            "model.n_heads=4",
            "model.d_ff=128",
            "objectives.detection.num_queries=3",
            "objectives.itm.weight=2",
            "checkpoint.every=0",
        ],
    ));
    let records = losses(&run);
    assert_eq!(records.len(), 600);
    let mean = |records: &[Value], name: &str| {
        let values = records.iter().map(|record| record[name].as_f64().unwrap());
        values.sum::<f64>() / records.len() as f64
    };
    // Matching starts at chance and is learned last; the other losses fall within a hundred steps.
    for (name, fraction) in [
        ("itm", 0.9),
        ("mlm", 0.3),
        ("detection", 0.5),
        ("caption", 0.3),
    ] {
        let name = format!("train/{name}");
        let (first, last) = (mean(&records[..10], &name), mean(&records[590..], &name));
        println!("{name}: {first:.3} to {last:.3}");
        assert!(last < fraction * first, "{name}: {first} to {last}");
    }
    // Guessing gives the weight, 2, times ln 2.
    let itm = mean(&records[550..], "train/itm");
    assert!(itm < 0.92 * 2.0 * std::f64::consts::LN_2, "{itm}");
}
