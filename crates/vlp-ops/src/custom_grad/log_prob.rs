//! [`log_prob`](crate::log_prob) of one kernel, and its gradient of another.

use burn::backend::Cube;
use burn::prelude::*;
use burn::tensor::IntDType;

use super::with_gradient;
use crate::capture::Value;
use crate::cube::log_prob as kernels;
use crate::cube::{MAX_CUBES, primitive, primitives_of};
use crate::graph::autodiff_primitive;

/// Log-probabilities of `classes`, each below the number of columns; `None` for logits that are not f32 on a GPU.
pub(crate) fn log_prob(logits: &Tensor<2>, classes: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let [rows, width] = logits.dims();
    if rows * width == 0 || rows > MAX_CUBES || classes.dims() != [rows] {
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
    let output = with_gradient::<Cube, 1, 1>(output, [node], move |grad| {
        // All are on the GPU that the output is on.
        #[allow(clippy::expect_used)]
        let grad = primitive(&grad)
            .and_then(|grad| {
                kernels::log_prob_backward([grad, logits_values, classes, log_sum_exp])
            })
            .expect("a gradient on the output's device");
        [Value::into_dispatch(grad)]
    });
    Some(output)
}
