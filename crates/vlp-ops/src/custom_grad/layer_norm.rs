//! [`layer_norm`](crate::layer_norm()) of one kernel, with a gradient of two or three; alone, or of a residual connection with
//! dropout.

use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchTensor};
use burn::prelude::*;

use super::with_gradient;
use crate::DropoutMask;
use crate::capture::Value;
use crate::cube::layer_norm::{self as kernels, Input, InputGrads};
use crate::cube::{primitive, primitives_of};
use crate::graph::autodiff_primitive;

/// What is normalized: `x`, or `residual + dropout(x)`.
pub(crate) struct Normalized<'a, const D: usize> {
    pub(crate) x: &'a Tensor<D>,
    pub(crate) residual: Option<(&'a Tensor<D>, DropoutMask)>,
}

/// Layer norm; `None` for tensors that are not f32 on a GPU.
pub(crate) fn layer_norm<const D: usize>(
    normalized: &Normalized<'_, D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<Tensor<D>> {
    let (x, residual) = (normalized.x, normalized.residual);
    let (count, width) = (x.shape().num_elements(), x.dims()[D - 1]);
    let fits = gamma.dims() == [width] && beta.dims() == [width];
    let fits = fits && residual.is_none_or(|(residual, _)| residual.dims() == x.dims());
    if count == 0 || u32::try_from(count).is_err() || !fits {
        return None;
    }
    let input = Input {
        x: primitive(x)?,
        residual: match residual {
            Some((residual, mask)) => Some((primitive(residual)?, mask.on_gpu(&x.device())?)),
            None => None,
        },
    };
    let [gamma_values, beta_values] = [primitive(gamma)?, primitive(beta)?];
    let lines = [gamma_values.clone(), beta_values];
    let [y, mean, scale] = kernels::layer_norm(input.clone(), lines, epsilon)?;
    let y: Tensor<D> = y.into_tensor();
    if !x.is_autodiff() {
        return Some(y);
    }
    let statistics = primitives_of([mean, scale])?;
    let backward = move |grad: Tensor<D>| {
        // All are on the GPU that the output is on.
        #[allow(clippy::expect_used)]
        primitive(&grad)
            .and_then(|grad| kernels::layer_norm_backward(grad, input, gamma_values, statistics))
            .expect("a gradient on the output's device")
    };
    let [x, gamma, beta] = [node(x)?, node(gamma)?, node(beta)?];
    Some(match residual {
        None => with_gradient::<Cube, D, 3>(y, [x, gamma, beta], move |grad| {
            let grads = backward(grad);
            [grads.input, grads.gamma, grads.beta].map(Value::into_dispatch)
        }),
        Some((residual, _)) => {
            let nodes = [x, node(residual)?, gamma, beta];
            with_gradient::<Cube, D, 4>(y, nodes, move |grad| with_residual(backward(grad)))
        }
    })
}

/// Gradients of `x`, the residual, `gamma` and `beta`.
fn with_residual(grads: InputGrads) -> [DispatchTensor; 4] {
    let x = grads.x.unwrap_or_else(|| grads.input.clone());
    [x, grads.input, grads.gamma, grads.beta].map(Value::into_dispatch)
}

fn node<const D: usize>(x: &Tensor<D>) -> Option<FloatTensor<Autodiff<Cube>>> {
    autodiff_primitive(x)
}
