//! Cross entropy over chosen rows.

use burn::prelude::*;
use vlp_ops::log_prob;

/// Mean cross entropy of `logits` `[rows, classes]` against one class a row; zero without rows.
pub fn cross_entropy(logits: Tensor<2>, classes: &[i32]) -> Tensor<1> {
    let device = logits.device();
    if classes.is_empty() {
        return Tensor::zeros([1], &device);
    }
    log_prob(logits, classes).mean().neg()
}

/// Rows of `states` `[batch, length, width]` at (batch, place); `[rows, width]`. At least one row.
pub fn pick(states: Tensor<3>, at: &[(usize, usize)]) -> Tensor<2> {
    let [batch, length, width] = states.dims();
    let device = states.device();
    let flat: Vec<i32> = at
        .iter()
        .map(|&(row, place)| (row * length + place) as i32)
        .collect();
    states
        .reshape([batch * length, width])
        .select(0, Tensor::from_ints(flat.as_slice(), &device))
}

/// Class of the largest logit of every row.
pub fn argmax(logits: Tensor<2>) -> Vec<usize> {
    logits
        .argmax(1)
        .into_data()
        .iter::<i64>()
        .map(|i| i as usize)
        .collect()
}
