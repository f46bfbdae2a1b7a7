//! Log-probability of one class per row, its gradient in one pass.
//!
//! Needed as long as burn composes it from a log-softmax and a gather, each of which has a gradient matrix.

use burn::prelude::*;
use burn::tensor::activation::log_softmax;

/// `log softmax(logits)` at one class of each row. Every class must be in `0..` the number of columns.
///
/// # Shapes
/// - `logits`: `[rows, classes]`
/// - `classes`: one per row
/// - output: `[rows]`
pub fn log_prob(logits: Tensor<2>, classes: &[i32]) -> Tensor<1> {
    let [rows, width] = logits.dims();
    let in_range = classes
        .iter()
        .all(|&class| class >= 0 && (class as usize) < width);
    let fits = classes.len() == rows && in_range;
    cpu_path! {
        if fits && crate::dispatch::takes_fast_path(&logits) {
            return crate::autodiff::log_prob::log_prob(logits, classes);
        }
    }
    gpu_path! {
        if fits && let Some(output) = crate::custom_grad::log_prob::log_prob(&logits, classes) {
            return output;
        }
    }
    let _ = fits;
    let classes: Tensor<1, Int> = Tensor::from_ints(classes, &logits.device());
    log_softmax(logits, 1)
        .gather(1, classes.unsqueeze_dim(1))
        .squeeze_dim(1)
}
