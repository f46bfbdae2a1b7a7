//! [`layer_norm`](crate::layer_norm()) of one kernel, with a gradient of two or three; alone, or of a residual connection with
//! dropout.

use burn::prelude::*;

use super::with_kernel_gradient;
use crate::DropoutMask;
use crate::cube::layer_norm::{self as kernels, Input};
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
    let backward = move |grad| kernels::layer_norm_backward(grad, input, gamma_values, statistics);
    let x = autodiff_primitive(x)?;
    let [gamma, beta] = [autodiff_primitive(gamma)?, autodiff_primitive(beta)?];
    Some(match residual {
        None => with_kernel_gradient(y, [x, gamma, beta], move |grad| {
            let grads = backward(grad)?;
            Some([grads.input, grads.gamma, grads.beta])
        }),
        Some((residual, _)) => {
            let nodes = [x, autodiff_primitive(residual)?, gamma, beta];
            with_kernel_gradient(y, nodes, move |grad| {
                let grads = backward(grad)?;
                let x = grads.x.unwrap_or_else(|| grads.input.clone());
                Some([x, grads.input, grads.gamma, grads.beta])
            })
        }
    })
}
