//! The convolution's gradients: which way each is computed, and those that are products of columns.

use rayon::prelude::*;

use super::columns::scatter;
use super::forward::{columns, convolve, images};
use super::kernels::Weight;
use super::sizes::Sizes;
use super::{collect, direct, steps, tiles, weight, winograd};
use crate::Window;
use crate::bf16::{self, Packed};
use crate::flex::{made, scratch, wide};
use crate::matrix::{Matrix, product, turn};

/// Input channels of a task, about.
const CHANNELS: usize = 16;

/// The weight's gradient from the output's `[images, out, positions]` and `x`.
pub(super) fn to_weight(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Vec<f32> {
    tiles::to_weight(sizes, grad, x)
        .or_else(|| in_bf16(sizes, grad, x))
        .unwrap_or_else(|| match winograd::pays(sizes) {
            true => winograd::to_weight(sizes, grad, x),
            false => weight::to_weight(sizes, grad, x),
        })
}

/// The weight's gradient where products are made in bf16.
///
/// Tasks are blocks of input channels times groups of tiles, both fixed by the sizes; groups are summed in order.
fn in_bf16(sizes: &Sizes, grad: &[f32], x: &[f32]) -> Option<Vec<f32>> {
    if !bf16::pays([sizes.output, 1, sizes.output]) {
        return None;
    }
    let (taps, area, output) = (sizes.taps(), sizes.area(), sizes.output);
    let channels = (CHANNELS * 9).div_ceil(taps).min(sizes.input);
    let width = channels * taps;
    let [units, span] = sizes.units();
    let tile = Sizes::tile(width).min(span);
    let per_unit = span.div_ceil(tile);
    let tiles = units * per_unit;
    let blocks = sizes.input.div_ceil(channels);
    let groups = 8usize.div_ceil(blocks).min(tiles);
    let size = tiles.div_ceil(groups);
    let direct = sizes.pointwise() && units == sizes.images;
    let seen = direct.then(|| sizes.seen(x));
    // Positions of images that are one unit lie one after the other.
    let joined = (units < sizes.images).then(|| {
        let images = grad.chunks_exact(output * area);
        let turned = images.map(|grad| turn(Matrix::of_rows(grad, area), output, area));
        turned.collect::<Vec<_>>().concat()
    });
    let packed = |number: usize| {
        let (unit, at) = (number / per_unit, number % per_unit * tile);
        let slopes = match &joined {
            Some(turned) => Matrix::of_rows(&turned[at * output..], output),
            None => Matrix::of_rows(&grad[unit * output * area + at..], area).turned(),
        };
        Packed::right(slopes, [tile.min(span - at), output])
    };
    let packed: Vec<Packed> = (0..tiles).map(packed).collect::<Option<_>>()?;
    let part = |task: usize| {
        let (block, group) = (task / groups, task % groups);
        let first = block * channels;
        let width = channels.min(sizes.input - first) * taps;
        let mut sum = vec![0.0; output * width];
        let own = packed.iter().enumerate().skip(group * size).take(size);
        for (number, packed) in own {
            let (unit, at) = (number / per_unit, number % per_unit * tile);
            let count = tile.min(span - at);
            let shape = [width, count, output];
            let mut add = |left: Matrix<'_>| packed.left_times(left, shape, &mut sum);
            if let Some(seen) = &seen {
                let start = (unit * sizes.input + first) * area + at;
                add(Matrix::of_rows(&seen[start..], area));
                continue;
            }
            scratch(width * count, |scratch| {
                let position = unit * span + at;
                wide(|| columns(sizes, x, first * taps, position, count, scratch));
                add(Matrix::of_rows(scratch, count));
            });
        }
        sum
    };
    let parts: Vec<Vec<f32>> = (0..blocks * groups).into_par_iter().map(part).collect();
    let shape = [output, sizes.input * taps];
    Some(collect::joined(&parts, groups, output, shape))
}

/// The input's gradient from the output's `[images, out, positions]`.
pub(super) fn to_input(sizes: &Sizes, grad: &[f32], weight: &[f32]) -> Vec<f32> {
    let whole = sizes.units()[0] == sizes.images;
    let all: Vec<usize> = (0..sizes.taps()).rev().collect();
    let own = Weight::turned(sizes, weight, &all);
    if sizes.pointwise() && whole {
        let shape = [sizes.input, sizes.output, sizes.area()];
        let seen = images(grad, own.matrix(), shape, usize::MAX, None);
        if sizes.window.stride == [1, 1] {
            return seen;
        }
        let plane = sizes.map[0] * sizes.map[1];
        return made(
            sizes.images * sizes.input * plane,
            plane,
            #[inline(always)]
            |i, out| {
                let values = &seen[i * sizes.area()..(i + 1) * sizes.area()];
                scatter(sizes, out, (0, 0, 0), 0, values);
            },
        );
    }
    if let Some(turned) = turned(sizes) {
        if let Some(out) = tiles::convolve(&turned, grad, own, None) {
            return out;
        }
        if winograd::pays(&turned) {
            return winograd::convolve(&turned, grad, own, usize::MAX, None);
        }
        if direct::pays(&turned) {
            return direct::convolve(&turned, grad, own, None);
        }
        if sizes.pointwise() {
            return convolve(&turned, grad, own.matrix(), usize::MAX, None);
        }
        // Worth the turning where positions are many.
        if !whole || sizes.images * sizes.area() >= 2 * sizes.output {
            let weight = own.laid_out(sizes.input, sizes.output);
            // No ReLU hangs on a gradient: sums as long as they come.
            let weight = Matrix::of_rows(&weight, sizes.output * sizes.taps());
            return convolve(&turned, grad, weight, usize::MAX, None);
        }
    }
    if let Some(out) = steps::to_input(sizes, grad, weight) {
        return out;
    }
    let (taps, area, output) = (sizes.taps(), sizes.area(), sizes.output);
    let depth = sizes.input * taps;
    // Whole tasks in every image, which is one where its channels divide into none worth while.
    let divides = |channels: &usize| sizes.input.is_multiple_of(*channels);
    let channels = (CHANNELS / 2..=CHANNELS).rev().find(divides);
    let channels = channels.unwrap_or(sizes.input);
    let blocks = sizes.input / channels;
    let plane = sizes.map[0] * sizes.map[1];
    let tile = Sizes::tile(channels * taps).min(area);
    let rows = channels * taps;
    made(
        sizes.images * sizes.input * plane,
        channels * plane,
        #[inline(always)]
        |task, out| {
            let (image, first) = (task / blocks, task % blocks * rows);
            let grad = &grad[image * output * area..(image + 1) * output * area];
            for at in (0..area).step_by(tile) {
                let count = tile.min(area - at);
                let left = Matrix::of_rows(&weight[first..], depth).turned();
                let right = Matrix::of_rows(&grad[at..], area);
                scratch(rows * count, |scratch| {
                    product([rows, output, count], scratch, count, false, left, right);
                    wide(
                        #[inline(always)]
                        || {
                            for (i, values) in scratch.chunks(count).enumerate() {
                                let tap = sizes.tap(i);
                                let out = &mut out[tap.0 * plane..(tap.0 + 1) * plane];
                                scatter(sizes, out, tap, at, values);
                            }
                        },
                    );
                });
            }
        },
    )
}

/// At stride 1 the input's gradient is a convolution of the output's with the kernel turned by 180 degrees.
fn turned(sizes: &Sizes) -> Option<Sizes> {
    let window = sizes.window;
    let reach = [0, 1].map(|axis| window.dilation[axis] * (sizes.kernel[axis] - 1));
    if window.stride != [1, 1] {
        return None;
    }
    let padding = [
        reach[0].checked_sub(window.padding[0])?,
        reach[1].checked_sub(window.padding[1])?,
    ];
    Some(Sizes {
        input: sizes.output,
        output: sizes.input,
        map: sizes.positions,
        positions: sizes.map,
        window: Window { padding, ..window },
        ..*sizes
    })
}
