//! [`box_losses`](crate::box_losses) of one kernel, with a gradient of another.

use burn::prelude::*;

use super::with_kernel_gradient;
use crate::cube::boxes as kernels;
use crate::cube::primitive;
use crate::graph::autodiff_primitive;

pub(crate) fn box_losses(predicted: &Tensor<2>, objects: &Tensor<2>) -> Option<Tensor<2>> {
    let [rows, sides] = predicted.dims();
    if rows == 0 || sides != 4 || objects.dims() != [rows, 4] {
        return None;
    }
    let inputs = [primitive(predicted)?, primitive(objects)?];
    let losses = kernels::box_losses(inputs.clone())?.into_tensor();
    if !predicted.is_autodiff() {
        return Some(losses);
    }
    let node = autodiff_primitive(predicted)?;
    Some(with_kernel_gradient(losses, [node], move |grad| {
        kernels::box_losses_backward(grad, inputs).map(|grad| [grad])
    }))
}
