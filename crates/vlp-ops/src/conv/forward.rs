//! The convolution's forward pass, in tiles whose columns stay in the cache.

use std::ops::Range;

use rayon::prelude::*;

use super::columns::gather;
use super::sizes::Sizes;
use crate::bf16::{self, PANEL_ROWS, Packed};
use crate::count::count as count_product;
use crate::flex::{made, scratch, wide};
use crate::matrix::{Matrix, Sheet};
use crate::products::Product;

/// Products summed in a run before they join the total of [`forward`]: rounding grows with the longest run, and what
/// a ReLU behind the convolution lets pass hangs on it. 27 halves burn's rounding.
const RUN: usize = 27;
/// Fewer tiles than these share the cores by outputs.
const FEW: usize = 8;
/// Outputs of a task where tiles are few.
const SHARE: usize = 48;
/// Outputs whose runs follow each other.
const GROUP: usize = 96;

/// The columns of positions `first..first + count` and taps from `tap` on, into `out` `[taps, count]`.
pub(super) fn columns(
    sizes: &Sizes,
    x: &[f32],
    tap: usize,
    first: usize,
    count: usize,
    out: &mut [f32],
) {
    for (i, row) in out.chunks_mut(count).enumerate() {
        gather(sizes, x, sizes.tap(tap + i), first, row);
    }
}

/// `[images, out, positions]` from `x` and `weight`.
pub(super) fn forward(sizes: &Sizes, x: &[f32], weight: &[f32]) -> Vec<f32> {
    convolve(sizes, x, weight, RUN)
}

/// As [`forward`], with sums of `run` products joined.
pub(super) fn convolve(sizes: &Sizes, x: &[f32], weight: &[f32], run: usize) -> Vec<f32> {
    let (area, output) = (sizes.area(), sizes.output);
    let depth = sizes.input * sizes.taps();
    let [units, span] = sizes.units();
    if sizes.pointwise() && units == sizes.images {
        let weight = Matrix::of_rows(weight, depth);
        return images(&sizes.seen(x), weight, [output, depth, area]);
    }
    let tile = Sizes::tile(depth).min(span);
    let per_unit = span.div_ceil(tile);
    let tiles = units * per_unit;
    let place = |number: usize| {
        let (unit, at) = (number / per_unit, number % per_unit * tile);
        (unit, at, tile.min(span - at))
    };
    // Few tiles: outputs are shared among tasks, too, and the columns made beforehand.
    let few = tiles < FEW;
    // Burn's own 1x1 convolutions are products with as long sums.
    let run = if sizes.taps() == 1 {
        depth
    } else {
        run.min(depth)
    };
    // In bf16 all sums are one run.
    let packed = Packed::left(Matrix::of_rows(weight, depth), [output, depth]);
    let share = match &packed {
        _ if !few => output,
        Some(_) => SHARE.next_multiple_of(PANEL_ROWS),
        None => SHARE,
    };
    // SAFETY: tasks write disjoint blocks: positions of a tile times a share of outputs. All together are all.
    #[allow(unsafe_code)]
    let result = unsafe {
        Sheet::fill(units * output * span, |sheet| {
            let multiply = |number: usize, columns: &[f32], outputs: Range<usize>| {
                let (unit, at, count) = place(number);
                if let Some(packed) = &packed {
                    count_product([outputs.len(), depth, count]);
                    let right = Matrix::of_rows(columns, count);
                    right.check(depth, count);
                    let product = bf16::Product {
                        depth,
                        left: bf16::Operand::Packed(packed),
                        right: bf16::Operand::Plain(right),
                    };
                    let place = sheet.place(unit * output * span + at, span);
                    return product.write(outputs, 0..count, place, bf16::Start::Zero);
                }
                // Runs one after the other over few outputs, whose sums stay in the first cache.
                let group = if run < depth { GROUP } else { output };
                for row in outputs.clone().step_by(group) {
                    let rows = group.min(outputs.end - row);
                    for first in (0..depth).step_by(run) {
                        let part = run.min(depth - first);
                        let left = Matrix::of_rows(&weight[row * depth + first..], depth);
                        let right = Matrix::of_rows(&columns[first * count..], count);
                        let start = (unit * output + row) * span + at;
                        let shape = [rows, part, count];
                        sheet.product(start, shape, span, first > 0, left, right);
                    }
                }
            };
            if few {
                let all: Vec<Vec<f32>> = (0..tiles)
                    .map(|number| {
                        let (unit, at, count) = place(number);
                        made(
                            depth * count,
                            count * sizes.taps(),
                            #[inline(always)]
                            |i, out| {
                                let (tap, first) = (i * sizes.taps(), unit * span + at);
                                columns(sizes, x, tap, first, count, out);
                            },
                        )
                    })
                    .collect();
                let shares = output.div_ceil(share);
                (0..tiles * shares).into_par_iter().for_each(|task| {
                    let (number, first) = (task / shares, task % shares * share);
                    multiply(number, &all[number], first..output.min(first + share));
                });
            } else {
                (0..tiles).into_par_iter().for_each(|number| {
                    let (unit, at, count) = place(number);
                    scratch(depth * count, |scratch| {
                        wide(|| columns(sizes, x, 0, unit * span + at, count, scratch));
                        multiply(number, scratch, 0..output);
                    });
                });
            }
        })
    };
    if units == sizes.images {
        return result;
    }
    // From outputs of all images to images of all outputs.
    made(result.len(), output * area, |image, out| {
        for (row, out) in out.chunks_exact_mut(area).enumerate() {
            out.copy_from_slice(&result[row * span + image * area..][..area]);
        }
    })
}

/// `left` times every image's `[depth, columns]` of `x`.
pub(super) fn images(x: &[f32], left: Matrix<'_>, [rows, depth, columns]: [usize; 3]) -> Vec<f32> {
    let products: Vec<_> = x
        .chunks_exact(depth * columns)
        .map(|x| Product {
            shape: [rows, depth, columns],
            left,
            right: Matrix::of_rows(x, columns),
            bias: None,
        })
        .collect();
    Product::stack(&products)
}
