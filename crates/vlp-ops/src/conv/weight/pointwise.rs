//! Kernels of one tap: a product whose rows are outputs, as they lie in the weight, and its vectors inputs.

use pulp::Arch;
use rayon::prelude::*;

use super::{LEAST, PANEL, TAPS, TASKS, Task, slopes};
use crate::conv::padded::Padded;
use crate::conv::sizes::Sizes;
use crate::flex::made;

/// As [`super::to_weight`], of a map of which every position sees one place.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    // Inputs and outputs change places.
    let (rows, columns) = (sizes.output, sizes.input);
    let turned = Sizes {
        input: rows,
        output: columns,
        ..*sizes
    };
    let padded = Padded::plain(&turned, grad);
    let panels = slopes(&turned, x);
    let positions = sizes.images * sizes.area();
    let most = (positions / LEAST).clamp(1, TASKS);
    let size = TAPS.min(rows.div_ceil(TASKS / most));
    let blocks = rows.div_ceil(size);
    let lines = sizes.images * sizes.positions[0];
    let share = lines.div_ceil(TASKS.div_ceil(blocks).min(most));
    let groups = lines.div_ceil(share);
    let stride = columns.next_multiple_of(PANEL);
    let arch = Arch::new();
    let sum = |block: usize, group: usize, sums: &mut [f32]| {
        arch.dispatch(Task {
            sizes: &turned,
            padded: &padded,
            slopes: &panels,
            panel: positions,
            inputs: block * size..rows.min((block + 1) * size),
            lines: group * share..lines.min((group + 1) * share),
            sums,
            fresh: true,
        });
    };
    let length = rows * columns;
    if groups == 1 && stride == columns {
        return made(
            length,
            size * columns,
            #[inline(always)]
            |block, out| sum(block, 0, out),
        );
    }
    let part = |task: usize| {
        let (block, group) = (task / groups, task % groups);
        let mut sums = vec![0.0; size.min(rows - block * size) * stride];
        sum(block, group, &mut sums);
        sums
    };
    let parts: Vec<Vec<f32>> = (0..blocks * groups).into_par_iter().map(part).collect();
    made(
        length,
        size * columns,
        #[inline(always)]
        |block, out| {
            for part in &parts[block * groups..][..groups] {
                let rows = part.chunks_exact(stride);
                for (out, part) in out.chunks_exact_mut(columns).zip(rows) {
                    for (out, value) in out.iter_mut().zip(part) {
                        *out += value;
                    }
                }
            }
        },
    )
}
