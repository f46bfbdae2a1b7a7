//! [`log_prob`](crate::log_prob) of one kernel, and its gradient of another.

use burn::prelude::*;
use burn::tensor::IntDType;

use super::with_kernel_gradient;
use crate::cube::log_prob as kernels;
use crate::cube::{MAX_CUBES, primitive, primitives_of};
use crate::graph::autodiff_primitive;

/// Log-probabilities of `classes`, each below the number of columns; `None` for logits that are not f32 on a GPU.
pub(crate) fn log_prob(logits: &Tensor<2>, classes: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let [rows, width] = logits.dims();
    let is_counted = u32::try_from(rows * width).is_ok() && rows <= MAX_CUBES;
    if rows * width == 0 || !is_counted || classes.dims() != [rows] {
        return None;
    }
    let logits_values = primitive(logits)?;
    let classes = primitive(&classes.clone().cast(IntDType::I32))?;
    let [output, log_sum_exp] = kernels::log_prob([logits_values.clone(), classes.clone()])?;
    let output: Tensor<1> = output.into_tensor();
    if !logits.is_autodiff() {
        return Some(output);
    }
    let node = autodiff_primitive(logits)?;
    let [log_sum_exp] = primitives_of([log_sum_exp])?;
    Some(with_kernel_gradient(output, [node], move |grad| {
        let grad = kernels::log_prob_backward([grad, logits_values, classes, log_sum_exp]);
        grad.map(|grad| [grad])
    }))
}
