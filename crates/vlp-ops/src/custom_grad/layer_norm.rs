//! [`layer_norm`](crate::layer_norm()) of one kernel, with a gradient of two or three.

use burn::backend::Cube;
use burn::prelude::*;

use super::with_gradient;
use crate::capture::Value;
use crate::cube::layer_norm as kernels;
use crate::cube::{MAX_CUBES, Primitive, primitives};
use crate::graph::autodiff_primitive;

/// Layer norm; `None` for tensors that are not f32 on a GPU.
pub(crate) fn layer_norm<const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<Tensor<D>> {
    let (count, width) = (x.shape().num_elements(), x.dims()[D - 1]);
    let fits = gamma.dims() == [width] && beta.dims() == [width];
    if count == 0 || count / width > MAX_CUBES || !fits {
        return None;
    }
    let lines = [gamma, beta].map(|line| Value::from(line.clone().without_autodiff()));
    let values: Vec<Value> = [x.clone().without_autodiff().into()]
        .into_iter()
        .chain(lines)
        .collect();
    if !values.iter().all(Value::is_f32) {
        return None;
    }
    let inputs: [Primitive; 3] = primitives(values).ok()?.try_into().ok()?;
    let [x_values, gamma_values, _] = inputs.clone();
    let [y, mean, scale] = kernels::layer_norm(inputs, epsilon)?;
    let y: Tensor<D> = y.into_tensor();
    if !x.is_autodiff() {
        return Some(y);
    }
    let nodes = [
        autodiff_primitive(x)?,
        autodiff_primitive(gamma)?,
        autodiff_primitive(beta)?,
    ];
    let [mean, scale]: [Primitive; 2] = primitives(vec![mean, scale]).ok()?.try_into().ok()?;
    let output = with_gradient::<Cube, D, 3>(y, nodes, move |grad| {
        // All are on the GPU that the output is on.
        #[allow(clippy::expect_used)]
        let grads = primitives(vec![grad.into()])
            .ok()
            .and_then(|mut grad| grad.pop())
            .and_then(|grad| {
                kernels::layer_norm_backward([grad, x_values, gamma_values, mean, scale])
            })
            .expect("a gradient on the output's device");
        grads.map(Value::into_dispatch)
    });
    Some(output)
}
