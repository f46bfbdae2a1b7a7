//! The convolution's forward pass, in tiles whose columns stay in the cache.

use std::ops::Range;

use rayon::prelude::*;

use super::columns::gather;
use super::sizes::Sizes;
use crate::bf16::{self, Packed, Unit};
use crate::count::count as count_product;
use crate::finish::Finish;
use crate::flex::{made, scratch, wide};
use crate::matrix::{Matrix, Sheet};
use crate::products::Product;

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

/// Products summed in a run before they join the total, where gradients follow: rounding grows with runs and with their
/// number, and what a ReLU behind the convolution lets pass hangs on it. Shorter ones cost more than they bring.
pub(super) fn run(sizes: &Sizes) -> usize {
    let least = if sizes.taps() == 1 { 64 } else { 27 };
    (sizes.input * sizes.taps()).isqrt().max(least)
}

/// `[images, out, positions]` from `x` and the weight as a matrix `[out, in * taps]`, sums of `run` products joined,
/// finished.
pub(super) fn convolve(
    sizes: &Sizes,
    x: &[f32],
    weight: Matrix<'_>,
    run: usize,
    finish: Option<&Finish<'_>>,
) -> Vec<f32> {
    let (area, output) = (sizes.area(), sizes.output);
    let depth = sizes.input * sizes.taps();
    let [units, span] = sizes.units();
    if sizes.pointwise() && units == sizes.images {
        let shape = [output, depth, area];
        return images(&sizes.seen(x), weight, shape, run, finish);
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
    let run = run.min(depth);
    // In bf16 all sums are one run.
    let packed = Packed::left(weight, [output, depth]);
    let share = match &packed {
        _ if !few => output,
        Some(_) => SHARE.next_multiple_of(Unit::here().rows()),
        None => SHARE,
    };
    // Where images have to be taken apart again, finishing waits for it.
    let early = finish.filter(|_| units == sizes.images);
    // SAFETY: tasks write disjoint blocks: positions of a tile times a share of outputs. All together are all.
    #[allow(unsafe_code)]
    let result = unsafe {
        Sheet::fill(units * output * span, |sheet| {
            let multiply = |number: usize, columns: &[f32], outputs: Range<usize>| {
                let (unit, at, count) = place(number);
                let start = |row: usize| (unit * output + row) * span + at;
                let done = |rows: Range<usize>| {
                    if let Some(finish) = early {
                        finish.block(sheet, start(rows.start), rows, [count, span]);
                    }
                };
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
                    product.write(outputs.clone(), 0..count, place, bf16::Start::Zero);
                    return done(outputs);
                }
                // Runs one after the other over few outputs, whose sums stay in the first cache.
                let group = if run < depth { GROUP } else { output };
                for row in outputs.clone().step_by(group) {
                    let rows = group.min(outputs.end - row);
                    for first in (0..depth).step_by(run) {
                        let part = run.min(depth - first);
                        let left = weight.from(row, first);
                        let right = Matrix::of_rows(&columns[first * count..], count);
                        let shape = [rows, part, count];
                        sheet.product(start(row), shape, span, first > 0, left, right);
                    }
                    done(row..row + rows);
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
    made(
        result.len(),
        output * area,
        #[inline(always)]
        |image, out| {
            for (row, out) in out.chunks_exact_mut(area).enumerate() {
                out.copy_from_slice(&result[row * span + image * area..][..area]);
                if let Some(finish) = finish {
                    finish.run(row, (image * output + row) * area, out);
                }
            }
        },
    )
}

/// `left` times every image's `[depth, columns]` of `x`, finished.
pub(super) fn images(
    x: &[f32],
    left: Matrix<'_>,
    [rows, depth, columns]: [usize; 3],
    run: usize,
    finish: Option<&Finish<'_>>,
) -> Vec<f32> {
    let products: Vec<_> = x
        .chunks_exact(depth * columns)
        .map(|x| Product {
            shape: [rows, depth, columns],
            left,
            right: Matrix::of_rows(x, columns),
            bias: None,
            run,
            finish,
        })
        .collect();
    Product::stack(&products)
}
