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
    cpu_path! {
        let [rows, width] = logits.dims();
        let in_range = |&class: &i32| class >= 0 && (class as usize) < width;
        let fits = classes.len() == rows && classes.iter().all(in_range);
        if fits && crate::dispatch::takes_fast_path(&logits) {
            return crate::autodiff::log_prob::log_prob(logits, classes);
        }
    }
    let classes = Tensor::from_ints(classes, &logits.device());
    log_prob_at(logits, classes)
}

/// [`log_prob`] for classes on the device of the logits, such as those that were computed there. On a GPU a class outside the
/// range is taken as the last one.
///
/// # Shapes
/// - `logits`: `[rows, classes]`
/// - `classes`, output: `[rows]`
pub fn log_prob_at(logits: Tensor<2>, classes: Tensor<1, Int>) -> Tensor<1> {
    gpu_path! {
        if let Some(output) = crate::custom_grad::log_prob::log_prob(&logits, &classes) {
            return output;
        }
    }
    log_softmax(logits, 1)
        .gather(1, classes.unsqueeze_dim(1))
        .squeeze_dim(1)
}
