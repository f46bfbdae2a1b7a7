//! Tests of the counting objective, of runs with it, and of the pages that explain it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod objective;
mod pages;
mod training;

use vlp::RunConfig;
use vlp::config::{Sources, resolve};

/// Scenes of 32 pixels for a model of width 32, with `set` laid over.
fn tiny(set: &[&str]) -> RunConfig {
    let small = [
        "data.batch_size=16",
        "data.scenes.resolution=32",
        "data.scenes.backgrounds=[\"plain\"]",
        "data.scenes.max_extent=0.4",
        "model.d_model=32",
        "model.n_heads=2",
        "model.d_ff=64",
        "model.encoder_layers=1",
        "model.decoder_layers=1",
        "model.backbone.width=8",
        "model.backbone.stages=2",
        "objectives.detection.num_queries=6",
        "train.schedule.warmup_steps=1",
        "eval.images=1",
    ];
    resolve(&Sources {
        set: small.iter().chain(set).map(ToString::to_string).collect(),
        ..Sources::default()
    })
    .unwrap()
}
