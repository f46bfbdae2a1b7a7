//! [`gelu`](crate::gelu) on the CPU.

use super::prelude::*;
use crate::cpu::gelu::{self as kernels, gelu_backward};

#[backend_extension(Flex, Autodiff)]
trait GeluBackend: Backend {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GeluBackend>::exact_gelu(x.into_dispatch()))
}

impl GeluBackend for Flex {
    fn exact_gelu(x: Array) -> Array {
        let x = contiguous(&x);
        from_vec(kernels::gelu(as_slice(&x)), x.shape())
    }
}

impl<C: CheckpointStrategy> GeluBackend for Autodiff<Flex, C> {
    fn exact_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let input = x.primitive().clone();
        let output = Flex::exact_gelu(input.clone());
        record::<C, _, _>([x.node()], output, |_, _| input, backward)
    }
}

fn backward(x: Array, grad: Array, parents: &mut Parents<'_, 1>) {
    let (x, mut grad) = (contiguous(&x), into_writable(grad));
    gelu_backward(as_slice(&x), grad.storage_mut::<f32>());
    parents.add_grad(0, grad);
}
