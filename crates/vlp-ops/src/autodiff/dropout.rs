//! [`dropout`](crate::dropout()) on the CPU.

use super::prelude::*;
use crate::DropoutMask;
use crate::cpu::tensor::{CHUNK_LEN, for_blocks};

#[backend_extension(Flex, Autodiff)]
trait DropoutBackend: Backend {
    fn apply_mask(x: FloatTensor<Self>, mask: DropoutMask) -> FloatTensor<Self>;
}

pub(crate) fn dropout<const D: usize>(x: Tensor<D>, mask: DropoutMask) -> Tensor<D> {
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as DropoutBackend>::apply_mask(x, mask))
}

impl DropoutBackend for Flex {
    fn apply_mask(x: Array, mask: DropoutMask) -> Array {
        let mut x = into_writable(x);
        for_blocks(
            x.storage_mut::<f32>(),
            CHUNK_LEN,
            #[inline(always)]
            |i, x| mask.apply_to(x, i * CHUNK_LEN),
        );
        x
    }
}

impl<C: CheckpointStrategy> DropoutBackend for Autodiff<Flex, C> {
    fn apply_mask(x: FloatTensor<Self>, mask: DropoutMask) -> FloatTensor<Self> {
        let output = Flex::apply_mask(x.primitive().clone(), mask);
        record::<C, _, _>([x.node()], output, |_, _| mask, backward)
    }
}

fn backward(mask: DropoutMask, grad: Array, parents: &mut Parents<'_, 1>) {
    parents.add_grad(0, Flex::apply_mask(grad, mask));
}
