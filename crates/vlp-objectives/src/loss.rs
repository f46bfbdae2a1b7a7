//! Losses on selected rows.

use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::log_prob;

use crate::target_tensors::PaddedLabels;

/// Zero, `[1]`, for a batch with nothing to predict.
///
/// With autodiff it is tracked: a total of nothing but zeros supports a backward pass, in which no parameter gets a
/// gradient.
pub fn zero(device: &Device) -> Tensor<1> {
    let zero = Tensor::zeros([1], device);
    match device.is_autodiff() {
        true => zero.require_grad(),
        false => zero,
    }
}

/// Zero for each row of `values` `[rows, columns]`, `[rows]`, with a gradient of zero, for a batch with nothing to predict from
/// these values.
///
/// Unlike after [`zero`], an optimizer updates the parameters that `values` depend on, as PyTorch does: moments and weights
/// decay, and the step is counted. Values that are not finite have no effect.
pub(crate) fn tracked_zeros(values: Tensor<2>) -> Tensor<1> {
    let all = values.zeros_like().equal_elem(0.0);
    values.mask_fill(all, 0.0).sum_dim(1).squeeze_dim(1)
}

/// Mean cross entropy, `[1]`, of `logits` `[rows, classes]` with the class of each row; [`zero`] without classes.
pub fn cross_entropy(logits: Tensor<2>, classes: &[i32]) -> Tensor<1> {
    match classes.is_empty() {
        true => zero(&logits.device()),
        false => log_prob(logits, classes).mean().neg(),
    }
}

/// The rows of `logits` `[rows, classes]` that have a label, with these labels. If none has, all of `logits` is returned:
/// [`cross_entropy`] of no labels is zero.
pub fn labeled_rows(
    logits: Tensor<2>,
    labels: impl IntoIterator<Item = Option<usize>>,
) -> (Tensor<2>, Vec<i32>) {
    let labeled = labels.into_iter().enumerate();
    let (rows, labels): (Vec<i32>, Vec<i32>) = labeled
        .filter_map(|(row, label)| Some((row as i32, label? as i32)))
        .unzip();
    if rows.is_empty() {
        return (logits, labels);
    }
    let rows = Tensor::from_ints(rows.as_slice(), &logits.device());
    (logits.select(0, rows), labels)
}

/// [`cross_entropy`] of the rows of `logits` `[rows, classes]` that have a label: of the [`PaddedLabels`] in `tensors`, without
/// these of `labels`.
pub fn labeled_cross_entropy(
    logits: Tensor<2>,
    tensors: &[Value],
    labels: impl IntoIterator<Item = Option<usize>>,
) -> Tensor<1> {
    match PaddedLabels::from_values(tensors, &logits.device()) {
        Some(padded) => padded.cross_entropy(padded.select(logits)),
        None => {
            let (logits, labels) = labeled_rows(logits, labels);
            cross_entropy(logits, &labels)
        }
    }
}

/// The vectors of `states` `[batch, length, width]` at each (row, position), `[positions, width]`. At least one position.
pub fn gather_positions(states: Tensor<3>, positions: &[(usize, usize)]) -> Tensor<2> {
    let [batch, length, width] = states.dims();
    let device = states.device();
    let indices: Vec<i32> = positions
        .iter()
        .map(|&(row, position)| (row * length + position) as i32)
        .collect();
    states
        .reshape([batch * length, width])
        .select(0, Tensor::from_ints(indices.as_slice(), &device))
}

/// Index of the largest logit of every row.
pub fn argmax(logits: Tensor<2>) -> Vec<usize> {
    let classes = logits.argmax(1).into_data();
    classes.iter::<i64>().map(|class| class as usize).collect()
}

/// Rows scaled to Euclidean length 1; a row of zeros stays zero.
pub(crate) fn normalize_rows(rows: Tensor<2>) -> Tensor<2> {
    // The square of the 1e-12 of `torch.nn.functional.normalize`; inside the root the gradient at zero is finite.
    let norm = rows.clone().square().sum_dim(1).add_scalar(1e-24).sqrt();
    rows / norm
}
