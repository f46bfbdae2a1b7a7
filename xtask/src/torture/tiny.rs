//! Runs that take a tenth of a second.

use std::path::Path;

/// The tiny presets.
pub(super) const PRESETS: [&str; 2] = ["e2e-vlp-tiny", "soho-tiny"];

/// Everything that a checkpoint must hold (dropout, batch norms, a moving average of the weights, moments in bf16, a
/// dictionary) in a model of few weights. Every step is saved, every second one is evaluated.
pub(super) fn settings(preset: &str, steps: usize) -> Vec<String> {
    let mut words = vec!["--preset".to_owned(), preset.to_owned()];
    words.extend(set(&[
        &format!("train.steps={steps}"),
        "train.accumulate=2",
        "train.data_parallel_halves=false",
        "train.ema_decay=0.9",
        "train.optimizer.moment_dtype=bf16",
        "train.schedule.warmup_steps=1",
        "model.d_model=16",
        "model.d_ff=16",
        "model.encoder_layers=1",
        "model.dropout=0.1",
        "model.backbone.width=8",
        "data.batch_size=2",
        "data.scenes.count=64",
        "checkpoint.every=1",
        "checkpoint.keep=1",
        "eval.every=2",
        "eval.examples=2",
        "eval.images=1",
    ]));
    words.extend(set(&match preset {
        "soho-tiny" => ["model.quantizer.dictionary.follow=step"],
        _ => ["model.decoder_layers=1"],
    }));
    words
}

/// Arguments that set configuration values; later ones override earlier ones.
pub(super) fn set(values: &[&str]) -> Vec<String> {
    let words = values.iter().flat_map(|value| ["--set", value]);
    words.map(str::to_owned).collect()
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
