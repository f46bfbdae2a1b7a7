//! [`affine`](crate::affine()) of activations of 16 bits: computed in f32, and rounded once. Only the output is stored for the
//! gradients, which the next convolution stores as well.

use burn::backend::Cube;
use burn::prelude::*;

use super::with_gradient;
use crate::composed::affine::{self as composed, by_channel};
use crate::graph::autodiff_primitive;
use crate::{Affine, from_activation_precision};

/// `x` scaled and shifted, plus the shortcut, through a ReLU if there is one; of the type of `x`.
pub(crate) fn affine(x: Tensor<4>, affine: Affine) -> Tensor<4> {
    let is_frozen = !affine.scale.is_tracked() && !affine.shift.is_tracked();
    let output = is_frozen.then(|| with_frozen_norm(&x, &affine)).flatten();
    output.unwrap_or_else(|| compute(x, affine))
}

fn compute(x: Tensor<4>, affine: Affine) -> Tensor<4> {
    let dtype = x.dtype();
    let shortcut = affine.shortcut.map(from_activation_precision);
    let affine = Affine { shortcut, ..affine };
    composed::affine(from_activation_precision(x), affine).cast(dtype)
}

/// The same with a gradient of one kernel; `None` without autodiff.
fn with_frozen_norm(x: &Tensor<4>, affine: &Affine) -> Option<Tensor<4>> {
    let node = autodiff_primitive(x)?;
    let shortcut = match &affine.shortcut {
        Some(shortcut) => Some(autodiff_primitive(shortcut)?),
        None => None,
    };
    let (dtype, relu) = (x.dtype(), affine.relu);
    let shortcut_dtype = affine.shortcut.as_ref().map_or(dtype, Tensor::dtype);
    let plain = |x: &Tensor<4>| x.clone().without_autodiff();
    let scale = affine.scale.clone().without_autodiff();
    let inner = Affine {
        scale: scale.clone(),
        shift: affine.shift.clone().without_autodiff(),
        shortcut: affine.shortcut.as_ref().map(plain),
        relu,
    };
    let output = compute(plain(x), inner);
    let saved = output.clone();
    // Gradients of `x` and of the shortcut.
    let grads = move |grad: Tensor<4>| {
        let grad = from_activation_precision(grad);
        let grad = match relu {
            true => grad.mask_fill(saved.lower_equal_elem(0.0), 0.0),
            false => grad,
        };
        let of_x = grad.clone() * by_channel(scale);
        [of_x.cast(dtype), grad.cast(shortcut_dtype)].map(Tensor::into_dispatch)
    };
    Some(match shortcut {
        Some(shortcut) => with_gradient::<Cube, 4, 2>(output, [node, shortcut], grads),
        None => with_gradient::<Cube, 4, 1>(output, [node], move |grad| {
            let [of_x, _] = grads(grad);
            [of_x]
        }),
    })
}
