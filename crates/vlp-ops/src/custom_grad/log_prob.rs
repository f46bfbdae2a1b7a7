//! [`log_prob`](crate::log_prob) of one kernel, and its gradient of another.

use burn::backend::Cube;
use burn::prelude::*;
use burn::tensor::DType;

use super::with_gradient;
use crate::capture::Value;
use crate::cube::log_prob as kernels;
use crate::cube::{MAX_CUBES, Primitive, primitives};
use crate::graph::autodiff_primitive;

/// Log-probabilities of `classes`, each below the number of columns; `None` for logits that are not f32 on a GPU.
pub(crate) fn log_prob(logits: &Tensor<2>, classes: &[i32]) -> Option<Tensor<1>> {
    let [rows, width] = logits.dims();
    if rows * width == 0 || rows > MAX_CUBES || classes.len() != rows {
        return None;
    }
    let logits_value = Value::from(logits.clone().without_autodiff());
    let device = logits.device().inner();
    if !logits_value.is_f32() || crate::is_cpu(&device) {
        return None;
    }
    let classes = Tensor::<1, Int>::from_data(classes, (&device, DType::I32));
    let classes_value = Value::from(classes);
    let inputs = primitives(vec![logits_value, classes_value]);
    let inputs: [Primitive; 2] = inputs.ok()?.try_into().ok()?;
    let [logits_values, classes] = inputs.clone();
    let [output, log_sum_exp] = kernels::log_prob(inputs)?;
    let output: Tensor<1> = output.into_tensor();
    if !logits.is_autodiff() {
        return Some(output);
    }
    let node = autodiff_primitive(logits)?;
    let [log_sum_exp]: [Primitive; 1] = primitives(vec![log_sum_exp]).ok()?.try_into().ok()?;
    let output = with_gradient::<Cube, 1, 1>(output, [node], move |grad| {
        // All are on the GPU that the output is on.
        #[allow(clippy::expect_used)]
        let grad = primitives(vec![grad.into()])
            .ok()
            .and_then(|mut grad| grad.pop())
            .and_then(|grad| {
                kernels::log_prob_backward([grad, logits_values, classes, log_sum_exp])
            })
            .expect("a gradient on the output's device");
        [grad.into_dispatch()]
    });
    Some(output)
}
