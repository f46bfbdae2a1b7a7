//! [`softmax`](crate::softmax) on the CPU.

use super::prelude::*;
use crate::cpu::softmax::{self as kernels, softmax_backward};

#[backend_extension(Flex, Autodiff)]
trait SoftmaxBackend: Backend {
    fn last_axis_softmax(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

pub(crate) fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as SoftmaxBackend>::last_axis_softmax(x))
}

/// Length of the last axis.
fn width(x: &Array) -> usize {
    x.shape().as_slice().last().copied().unwrap_or(1)
}

impl SoftmaxBackend for Flex {
    fn last_axis_softmax(x: Array) -> Array {
        let x = contiguous(&x);
        from_vec(kernels::softmax(as_slice(&x), width(&x)), x.shape())
    }
}

impl<C: CheckpointStrategy> SoftmaxBackend for Autodiff<Flex, C> {
    fn last_axis_softmax(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let output = Flex::last_axis_softmax(x.primitive().clone());
        record::<C, _, _>([x.node()], output, |output, _| output.clone(), backward)
    }
}

fn backward(output: Array, grad: Array, parents: &mut Parents<'_, 1>) {
    let mut grad = into_writable(grad);
    softmax_backward(as_slice(&output), width(&output), grad.storage_mut::<f32>());
    parents.add_grad(0, grad);
}
