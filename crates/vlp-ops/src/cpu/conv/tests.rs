//! Every algorithm against sums over taps, on slices and on shapes so small that Miri interprets them: `cargo xtask torture
//! unsafe`. All values are small integers, and so all sums exact: results are equal, whatever the order of sums.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::Conv2dGeometry;

/// `[images, in, out, rows, columns]`, kernel, stride, padding, dilation.
type Case = ([usize; 5], [usize; 2], [usize; 2], [usize; 2], [usize; 2]);

/// Miri takes a minute for the first of them.
const CASES: [Case; 9] = [
    ([2, 1, 2, 3, 2], [3, 3], [1, 1], [1, 1], [1, 1]),
    // More outputs than a panel has.
    ([1, 1, 17, 1, 3], [1, 1], [1, 1], [0, 0], [1, 1]),
    ([1, 1, 2, 3, 3], [3, 3], [2, 2], [1, 1], [1, 1]),
    // A kernel that reaches beyond the input on both sides.
    ([1, 1, 2, 2, 1], [5, 5], [1, 1], [2, 2], [1, 1]),
    ([2, 2, 17, 3, 5], [3, 3], [1, 1], [1, 1], [1, 1]),
    ([1, 2, 3, 6, 4], [3, 3], [1, 1], [2, 0], [1, 1]),
    ([1, 2, 2, 7, 6], [3, 2], [2, 3], [2, 1], [1, 2]),
    ([2, 3, 4, 3, 4], [1, 1], [2, 2], [0, 0], [1, 1]),
    // So many positions that groups of them are summed apart.
    ([1, 1, 2, 32, 33], [1, 2], [1, 1], [0, 0], [1, 1]),
];
const CASES_FOR_MIRI: usize = 4;

fn shapes() -> impl Iterator<Item = ConvShape> {
    let count = if cfg!(miri) {
        CASES_FOR_MIRI
    } else {
        CASES.len()
    };
    CASES.into_iter().take(count).map(|case| {
        let ([images, inputs, outputs, rows, columns], [i, j], stride, padding, dilation) = case;
        let geometry = Conv2dGeometry {
            stride,
            padding,
            dilation,
        };
        ConvShape::new(
            [images, inputs, rows, columns],
            [outputs, inputs, i, j],
            geometry,
        )
    })
}

/// Integers from -2 to 2.
fn integers(dims: [usize; 4], seed: usize) -> Vec<f32> {
    let length: usize = dims.iter().product();
    let integer = |i: usize| (i * 7 + i / 5 * 3 + seed) % 5;
    (0..length).map(|i| integer(i) as f32 - 2.0).collect()
}

/// `f` on the indices of output, input and weight of every term.
fn for_terms(shape: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let Conv2dGeometry {
        stride,
        padding,
        dilation,
    } = shape.geometry;
    let [rows, columns] = shape.input_size;
    for output in 0..shape.images * shape.out_channels * shape.output_area() {
        let (plane, position) = (output / shape.output_area(), output % shape.output_area());
        let (image, channel) = (plane / shape.out_channels, plane % shape.out_channels);
        let position = [
            position / shape.output_size[1],
            position % shape.output_size[1],
        ];
        for term in 0..shape.depth() {
            let (input, i, j) = shape.tap(term);
            let at = |axis: usize, tap: usize| {
                let padded = position[axis] * stride[axis] + tap * dilation[axis];
                let at = padded.checked_sub(padding[axis])?;
                (at < shape.input_size[axis]).then_some(at)
            };
            if let (Some(row), Some(column)) = (at(0, i), at(1, j)) {
                let plane = image * shape.in_channels + input;
                let x = (plane * rows + row) * columns + column;
                f(output, x, channel * shape.depth() + term);
            }
        }
    }
}

fn is_for_winograd(shape: &ConvShape) -> bool {
    shape.kernel == [3, 3] && shape.geometry.stride == [1, 1] && shape.geometry.dilation == [1, 1]
}

/// The algorithms that compute outputs of a shape.
fn forward_algorithms(shape: &ConvShape) -> Vec<Algorithm> {
    let mut algorithms = vec![Algorithm::Im2col];
    if is_for_winograd(shape) {
        algorithms.push(Algorithm::Winograd);
    }
    algorithms.push(match shape.is_pointwise() {
        true => Algorithm::Pointwise,
        false => Algorithm::Direct,
    });
    algorithms
}

#[test]
fn outputs_are_sums_over_taps() {
    for shape in shapes() {
        let x = integers(shape.input_dims(), 1);
        let weight = integers(shape.weight_dims(), 2);
        let mut expected = vec![0.0; shape.output_dims().iter().product()];
        for_terms(&shape, |output, input, term| {
            expected[output] += x[input] * weight[term];
        });
        let channels = [shape.out_channels, 1, 1, 1];
        let (scale, shift) = (integers(channels, 3), integers(channels, 4));
        let shortcut = integers(shape.output_dims(), 5);
        let epilogue = Epilogue {
            scale: &scale,
            shift: &shift,
            shortcut: Some(&shortcut),
            relu: true,
        };
        let after: Vec<f32> = (expected.iter().zip(&shortcut).enumerate())
            .map(|(i, (value, shortcut))| {
                let channel = i / shape.output_area() % shape.out_channels;
                (value * scale[channel] + shift[channel] + shortcut).max(0.0)
            })
            .collect();
        let taps: Vec<usize> = (0..shape.taps()).collect();
        for algorithm in forward_algorithms(&shape) {
            for (k_chunk, epilogue, expected) in
                [(None, None, &expected), (Some(2), Some(&epilogue), &after)]
            {
                let convolution = Convolution {
                    shape: &shape,
                    x: &x,
                    weight: WeightView::new(&shape, &weight, &taps),
                    k_chunk,
                    epilogue,
                };
                assert_eq!(
                    convolution.run(algorithm),
                    *expected,
                    "{algorithm}, {shape:?}"
                );
            }
        }
    }
}

#[test]
fn input_gradients_are_sums_over_taps() {
    for shape in shapes() {
        let grad_output = integers(shape.output_dims(), 1);
        let weight = integers(shape.weight_dims(), 2);
        let mut expected = vec![0.0; shape.input_dims().iter().product()];
        for_terms(&shape, |output, input, term| {
            expected[input] += grad_output[output] * weight[term];
        });
        let convolve = |convolved: &ConvShape, taps: &[usize], algorithm| {
            let convolution = Convolution {
                shape: convolved,
                x: &grad_output,
                weight: WeightView::transposed(&shape, &weight, taps),
                k_chunk: None,
                epilogue: None,
            };
            convolution.run(algorithm)
        };
        let mut grads = vec![col2im::input_grad(&shape, &grad_output, &weight)];
        if shape.is_pointwise() {
            grads.push(pointwise::input_grad(&shape, &grad_output, &weight));
        }
        if let Some(transposed) = shape.transposed() {
            let taps: Vec<usize> = (0..shape.taps()).rev().collect();
            let algorithms = forward_algorithms(&transposed).into_iter();
            grads.extend(algorithms.map(|algorithm| convolve(&transposed, &taps, algorithm)));
        }
        if let Some(parts) = Parts::new(&shape) {
            for last in [false, true] {
                grads.push(parts.input_grad(|part, taps| {
                    let algorithms = forward_algorithms(part);
                    let algorithm = if last {
                        algorithms.last()
                    } else {
                        algorithms.first()
                    };
                    convolve(part, taps, *algorithm.unwrap())
                }));
            }
        }
        for (number, grad) in grads.iter().enumerate() {
            assert_eq!(*grad, expected, "{number}, {shape:?}");
        }
    }
}

#[test]
fn weight_gradients_are_sums_over_positions() {
    for shape in shapes() {
        let grad_output = integers(shape.output_dims(), 1);
        let x = integers(shape.input_dims(), 2);
        let mut expected = vec![0.0; shape.weight_dims().iter().product()];
        for_terms(&shape, |output, input, term| {
            expected[term] += grad_output[output] * x[input];
        });
        let mut grads = vec![weight_grad::weight_grad(&shape, &grad_output, &x)];
        if shape.is_pointwise() {
            grads.push(weight_grad::pointwise_weight_grad(&shape, &grad_output, &x));
        }
        if is_for_winograd(&shape) {
            grads.push(winograd::weight_grad(&shape, &grad_output, &x));
        }
        for (number, grad) in grads.iter().enumerate() {
            assert_eq!(*grad, expected, "{number}, {shape:?}");
        }
    }
}
