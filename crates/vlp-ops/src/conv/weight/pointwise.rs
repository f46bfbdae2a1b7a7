//! Kernels of one tap: a product whose rows are outputs, as they lie in the weight, and its vectors inputs.

use super::Parts;
use crate::conv::padded::Padded;
use crate::conv::sizes::Sizes;
use crate::flex::made;

/// As [`super::to_weight`], of a map of which every position sees one place.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    // Inputs and outputs change places.
    let columns = sizes.input;
    let turned = Sizes {
        input: sizes.output,
        output: columns,
        ..*sizes
    };
    let parts = Parts::new(&turned, x, Padded::plain(&turned, grad));
    let (length, size) = (sizes.output * columns, parts.inputs * columns);
    if parts.groups == 1 && parts.stride == columns {
        return made(
            length,
            size,
            #[inline(always)]
            |block, out| parts.sum(block, 0, out),
        );
    }
    let (sums, groups) = (parts.all(), parts.groups);
    made(
        length,
        size,
        #[inline(always)]
        |block, out| {
            for part in &sums[block * groups..][..groups] {
                let rows = part.chunks_exact(parts.stride);
                for (out, part) in out.chunks_exact_mut(columns).zip(rows) {
                    for (out, value) in out.iter_mut().zip(part) {
                        *out += value;
                    }
                }
            }
        },
    )
}
