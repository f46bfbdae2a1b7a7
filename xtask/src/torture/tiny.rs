//! Runs that take a tenth of a second.

use std::path::Path;

use crate::processes::settings;
pub(super) use crate::processes::settings::set;

/// The tiny presets.
pub(super) const PRESETS: [&str; 2] = ["e2e-vlp-tiny", "soho-tiny"];

/// What [`settings::base`] has, in a model of few weights. Every step is saved, every second one is evaluated.
pub(super) fn settings(preset: &str, steps: usize) -> Vec<String> {
    let mut words = settings::base(preset, steps);
    words.extend(set(&[
        "train.accumulate=2",
        "model.d_model=16",
        "model.d_ff=16",
        "model.encoder_layers=1",
        "model.backbone.width=8",
        "data.batch_size=2",
        "data.scenes.count=64",
        "checkpoint.every=1",
        "checkpoint.keep=1",
        "eval.every=2",
        "eval.examples=2",
    ]));
    if !preset.starts_with("soho") {
        words.extend(set(&["model.decoder_layers=1"]));
    }
    words
}

/// Arguments of a new run.
pub(super) fn new_run(run: &Path, settings: &[String]) -> Vec<String> {
    let words = [
        "pretrain".to_owned(),
        "--out".into(),
        run.display().to_string(),
    ];
    words.into_iter().chain(settings.iter().cloned()).collect()
}

/// Arguments that resume a run.
pub(super) fn resume(run: &Path) -> Vec<String> {
    [
        "pretrain".to_owned(),
        "--resume".into(),
        run.display().to_string(),
    ]
    .into()
}
