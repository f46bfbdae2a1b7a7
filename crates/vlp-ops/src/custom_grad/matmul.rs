//! [`matmul`](crate::matmul()) in a precision that burn would not choose, and its gradients in the same precision.

use burn::backend::Cube;
use burn::prelude::*;
use burn::tensor::DType;

use super::with_gradient;
use crate::cube::{matmul as kernel, primitives_of};
use crate::graph::autodiff_primitive;
use crate::precision::{GpuMatmul, gpu_matmul, operand_type};

/// The product in the precision that is set; `None` for tensors that are not f32 on a GPU, and where burn's product has it.
pub(crate) fn matmul<const D: usize>(lhs: &Tensor<D>, rhs: &Tensor<D>) -> Option<Tensor<D>> {
    matmul_in(operand_type()?, lhs, rhs)
}

/// The product in f32; `None` for tensors that are not f32 on a GPU, and where burn's product has it.
pub(crate) fn f32_matmul<const D: usize>(lhs: &Tensor<D>, rhs: &Tensor<D>) -> Option<Tensor<D>> {
    let is_burn = gpu_matmul() == GpuMatmul::Burn;
    (!is_burn)
        .then(|| matmul_in(DType::F32, lhs, rhs))
        .flatten()
}

fn matmul_in<const D: usize>(dtype: DType, lhs: &Tensor<D>, rhs: &Tensor<D>) -> Option<Tensor<D>> {
    if lhs.dtype() != DType::F32 || rhs.dtype() != DType::F32 {
        return None;
    }
    // The backward pass needs the rounded operands alone: half the memory.
    let [left, right] = [lhs, rhs].map(|x| rounded(x.clone().without_autodiff(), dtype));
    let output = product(left.clone(), right.clone())?;
    if !lhs.is_autodiff() && !rhs.is_autodiff() {
        return Some(output);
    }
    let nodes = [autodiff_primitive(lhs)?, autodiff_primitive(rhs)?];
    let output = with_gradient::<Cube, D, 2>(output, nodes, move |grad| {
        let grad = rounded(grad, dtype);
        // All are on the GPU that the output is on.
        #[allow(clippy::expect_used)]
        let product = |a, b| product(a, b).expect("operands on the output's device");
        let grads = [
            product(grad.clone(), right.transpose()),
            product(left.transpose(), grad),
        ];
        grads.map(Tensor::into_dispatch)
    });
    Some(output)
}

fn rounded<const D: usize>(x: Tensor<D>, dtype: DType) -> Tensor<D> {
    match dtype {
        DType::F32 => x,
        dtype => x.cast(dtype),
    }
}

/// The product of tensors without autodiff, in f32; `None` if they are not on a GPU, or empty.
fn product<const D: usize>(lhs: Tensor<D>, rhs: Tensor<D>) -> Option<Tensor<D>> {
    let is_empty = |x: &Tensor<D>| x.shape().num_elements() == 0;
    if is_empty(&lhs) || is_empty(&rhs) {
        return None;
    }
    let operands = primitives_of([lhs.into(), rhs.into()])?;
    Some(kernel::matmul(operands)?.into_tensor())
}
