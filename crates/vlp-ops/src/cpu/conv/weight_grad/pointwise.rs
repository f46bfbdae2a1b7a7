//! Kernels of 1x1: inputs and outputs are exchanged, so that rows of sums are those of the weight.

use super::Partition;
use crate::cpu::conv::padded::PaddedInput;
use crate::cpu::conv::pointwise::{sampled_input, sampled_shape};
use crate::cpu::conv::shape::ConvShape;
use crate::cpu::tensor::alloc_blocks;

/// The gradient of the weight of a pointwise convolution.
pub(in crate::cpu::conv) fn weight_grad(
    shape: &ConvShape,
    grad_output: &[f32],
    x: &[f32],
) -> Vec<f32> {
    shape.count_flops();
    let (x, shape) = (&sampled_input(shape, x), &sampled_shape(shape));
    let columns = shape.in_channels;
    let exchanged = ConvShape {
        in_channels: shape.out_channels,
        out_channels: columns,
        ..*shape
    };
    let input = PaddedInput::pointwise(&exchanged, grad_output);
    let partition = Partition::new(&exchanged, x, input);
    let (length, block_len) = (
        shape.out_channels * columns,
        partition.block_inputs * columns,
    );
    if partition.groups == 1 && partition.stride == columns {
        return alloc_blocks(
            length,
            block_len,
            #[inline(always)]
            |block, out| partition.sum(block, 0, out),
        );
    }
    let (partials, groups) = (partition.partial_sums(), partition.groups);
    alloc_blocks(
        length,
        block_len,
        #[inline(always)]
        |block, out| {
            for partial in &partials[block * groups..][..groups] {
                let rows = partial.chunks_exact(partition.stride);
                for (out, row) in out.chunks_exact_mut(columns).zip(rows) {
                    for (out, value) in out.iter_mut().zip(row) {
                        *out += value;
                    }
                }
            }
        },
    )
}
