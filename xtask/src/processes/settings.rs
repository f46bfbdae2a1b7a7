//! Settings of short runs whose bytes are compared.

/// Everything whose bits could depend on how a run is computed and that a checkpoint must hold: dropout, batch norms, a moving
/// average of the weights, moments in bf16, a dictionary.
pub(crate) fn base(preset: &str, steps: usize) -> Vec<String> {
    let mut words = vec!["--preset".to_owned(), preset.to_owned()];
    words.extend(set(&[
        &format!("train.steps={steps}"),
        "train.data_parallel_halves=false",
        "train.ema_decay=0.9",
        "train.optimizer.moment_dtype=bf16",
        "train.schedule.warmup_steps=1",
        "model.dropout=0.1",
        "eval.images=1",
    ]));
    if preset.starts_with("soho") {
        words.extend(set(&["model.quantizer.dictionary.follow=step"]));
    }
    words
}

/// Arguments that set configuration values; later ones override earlier ones.
pub(crate) fn set(values: &[&str]) -> Vec<String> {
    let words = values.iter().flat_map(|value| ["--set", value]);
    words.map(str::to_owned).collect()
}
