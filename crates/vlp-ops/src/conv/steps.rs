//! The input's gradient where the window takes steps: one convolution for each place between two of them.
//!
//! Of a 3x3 kernel at stride 2 one, two, two and four taps reach the four places of a square of the map.

use super::kernels::Weight;
use super::sizes::Sizes;
use super::{direct, forward, tiles};
use crate::Window;
use crate::flex::made;

/// Where places at a distance of the stride lie that see the same taps, of one axis.
struct Phase {
    /// The last tap that reaches them, and how many do, a stride apart.
    tap: usize,
    taps: usize,
    /// Zeros before the first position that they see.
    padding: usize,
    /// How many they are.
    length: usize,
}

impl Phase {
    /// Those from `first` on; `None` where no tap reaches them, or zeros before the map would be fewer than none.
    fn new(sizes: &Sizes, axis: usize, first: usize) -> Option<Self> {
        let window = &sizes.window;
        let (stride, padding) = (window.stride[axis], window.padding[axis]);
        let least = (first + padding) % stride;
        let taps = sizes.kernel[axis].checked_sub(least)?.div_ceil(stride);
        let tap = least + taps.checked_sub(1)? * stride;
        Some(Self {
            tap,
            taps,
            padding: tap.checked_sub(first + padding)? / stride,
            length: sizes.map[axis].saturating_sub(first).div_ceil(stride),
        })
    }
}

/// As [`super::gradients::to_input`]; `None` where another way has to be gone.
pub(super) fn to_input(sizes: &Sizes, grad: &[f32], weight: &[f32]) -> Option<Vec<f32>> {
    let Window {
        stride, dilation, ..
    } = sizes.window;
    if stride == [1, 1] || dilation != [1, 1] || sizes.pointwise() {
        return None;
    }
    let axis = |axis: usize| -> Option<Vec<Phase>> {
        (0..stride[axis].min(sizes.map[axis]))
            .map(|first| Phase::new(sizes, axis, first))
            .collect()
    };
    let places = [axis(0)?, axis(1)?];
    let part = |i: usize| {
        let place = [
            &places[0][i / places[1].len()],
            &places[1][i % places[1].len()],
        ];
        let sizes = Sizes {
            input: sizes.output,
            output: sizes.input,
            map: sizes.positions,
            kernel: place.map(|place| place.taps),
            positions: place.map(|place| place.length),
            window: Window {
                stride: [1; 2],
                padding: place.map(|place| place.padding),
                dilation,
            },
            ..*sizes
        };
        (place, sizes)
    };
    /// Each reads the output's gradient and the whole weight: many are no better than products of columns.
    const MOST: usize = 16;
    let count = places[0].len() * places[1].len();
    if count > MOST {
        return None;
    }
    let fits = |i: usize| {
        let (_, part) = part(i);
        part.pointwise() || tiles::pays(&part) || direct::pays(&part)
    };
    if !(0..count).all(fits) {
        return None;
    }
    let parts: Vec<Vec<f32>> = (0..count)
        .map(|i| {
            let (place, part) = part(i);
            let taps = taps(sizes, place);
            let weight = Weight::turned(sizes, weight, &taps);
            tiles::convolve(&part, grad, weight, None).unwrap_or_else(|| match part.pointwise() {
                true => forward::convolve(&part, grad, weight.matrix(), usize::MAX, None),
                false => direct::convolve(&part, grad, weight, None),
            })
        })
        .collect();
    let [height, width] = sizes.map;
    Some(made(
        sizes.images * sizes.input * height * width,
        height * width,
        #[inline(always)]
        |plane, out| {
            for (row, out) in out.chunks_exact_mut(width).enumerate() {
                let (above, y) = (row % stride[0], row / stride[0]);
                for (before, place) in places[1].iter().enumerate() {
                    let part = &parts[above * places[1].len() + before];
                    let start = (plane * places[0][above].length + y) * place.length;
                    let values = &part[start..start + place.length];
                    for (out, value) in out[before..].iter_mut().step_by(stride[1]).zip(values) {
                        *out = *value;
                    }
                }
            }
        },
    ))
}

/// The taps that reach a place, the last one first.
fn taps(sizes: &Sizes, place: [&Phase; 2]) -> Vec<usize> {
    let axis = |axis: usize| {
        let Phase { tap, taps, .. } = *place[axis];
        (0..taps).map(move |i| tap - i * sizes.window.stride[axis])
    };
    axis(0)
        .flat_map(|i| axis(1).map(move |j| i * sizes.kernel[1] + j))
        .collect()
}
