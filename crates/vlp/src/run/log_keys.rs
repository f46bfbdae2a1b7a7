//! Keys of the training log, `metrics.jsonl`. Validation metrics are logged under their own names.

/// Learning rate of parameters outside every optimizer group.
pub(crate) const LEARNING_RATE: &str = "train/lr";
/// Norm of the gradient before clipping.
pub(crate) const GRAD_NORM: &str = "train/grad_norm";
/// Skipped steps of the run so far.
pub(crate) const SKIPPED_STEPS: &str = "train/skipped_steps";

/// Key of a loss.
pub(crate) fn loss_key(name: &str) -> String {
    format!("train/{name}")
}

/// Key of a statistic that an objective reports.
pub(crate) fn statistic_key(name: &str) -> String {
    format!("stats/{name}")
}

/// Name of the loss that a key belongs to; `None` for other keys.
pub(crate) fn loss_name(key: &str) -> Option<&str> {
    match key {
        LEARNING_RATE | GRAD_NORM | SKIPPED_STEPS => None,
        _ => key.strip_prefix("train/"),
    }
}
