//! Convolutions and matrix multiplications of many sizes.

use burn::prelude::*;
use vlp_ops::{Affine, Conv2dGeometry, affine, conv2d, conv2d_affine};
use vlp_testing::{random, to_cpu};

use super::Case;

/// One convolution: `[images, in, out, h, w]`, kernel, geometry.
pub type Conv = ([usize; 5], [usize; 2], Conv2dGeometry);

pub fn geometry(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2]) -> Conv2dGeometry {
    Conv2dGeometry {
        stride,
        padding,
        dilation,
    }
}

pub fn convolutions() -> Vec<Conv> {
    let one = [1; 2];
    vec![
        ([1, 1, 1, 3, 3], [3, 3], geometry(one, [0, 0], one)),
        ([2, 3, 5, 7, 6], [3, 3], geometry(one, one, one)),
        ([2, 17, 4, 9, 11], [3, 3], geometry([2, 2], one, one)),
        ([1, 33, 3, 8, 5], [1, 1], geometry(one, [0, 0], one)),
        ([3, 2, 4, 13, 10], [3, 2], geometry([2, 3], [2, 1], [1, 2])),
        ([1, 4, 2, 12, 12], [3, 3], geometry(one, [2, 2], [2, 2])),
        ([1, 3, 8, 21, 19], [7, 7], geometry([2, 2], [3, 3], one)),
        // More padding than the kernel reaches.
        ([1, 2, 3, 5, 5], [2, 2], geometry(one, [2, 2], one)),
        (
            [3, 18, 20, 13, 10],
            [3, 2],
            geometry([2, 3], [2, 1], [1, 2]),
        ),
        ([1, 17, 40, 12, 12], [3, 3], geometry(one, [2, 2], [2, 2])),
        // A kernel that reaches beyond the input on both sides.
        ([1, 16, 18, 2, 1], [5, 5], geometry(one, [2, 2], one)),
        ([1, 2, 2, 2, 1], [5, 5], geometry(one, [2, 2], one)),
        // Many positions: several tiles, some across two images.
        ([3, 2, 2, 45, 37], [3, 3], geometry(one, one, one)),
        ([2, 6, 3, 91, 50], [3, 3], geometry([2, 1], one, one)),
        // Pointwise, and pointwise with a stride.
        ([2, 40, 130, 30, 31], [1, 1], geometry(one, [0, 0], one)),
        ([2, 70, 40, 25, 24], [1, 1], geometry([2, 2], [0, 0], one)),
        // Many inputs and few outputs.
        ([1, 1030, 17, 8, 8], [1, 1], geometry(one, [0, 0], one)),
        // Many small images, joined to one unit.
        ([9, 24, 40, 5, 6], [3, 3], geometry(one, one, one)),
        ([30, 40, 70, 4, 4], [1, 1], geometry(one, [0, 0], one)),
        ([2, 64, 96, 9, 8], [1, 1], geometry(one, [0, 0], one)),
        ([1, 64, 64, 30, 31], [1, 1], geometry(one, [0, 0], one)),
        ([30, 40, 24, 7, 8], [1, 1], geometry([2, 2], [0, 0], one)),
        ([5, 70, 20, 12, 12], [3, 3], geometry([2, 2], one, one)),
        // Strides that divide the input and do not, large kernels, more padding and none.
        ([1, 20, 24, 40, 41], [3, 3], geometry([2, 2], one, one)),
        ([2, 3, 16, 44, 45], [7, 7], geometry([2, 2], [3, 3], one)),
        ([1, 16, 4, 40, 30], [3, 4], geometry([2, 3], [0, 0], one)),
        ([1, 5, 4, 33, 70], [2, 3], geometry([2, 2], [2, 1], one)),
        ([1, 5, 4, 33, 70], [2, 3], geometry([1, 2], one, one)),
        // Few tiles, and more outputs than a task has.
        ([1, 96, 100, 14, 12], [3, 3], geometry(one, one, one)),
        // More outputs than positions.
        ([2, 24, 40, 6, 6], [3, 3], geometry(one, one, one)),
        // Winograd: outputs that tiles of 2x2 divide and do not, one chunk of inputs and more, all paddings.
        ([1, 64, 65, 24, 32], [3, 3], geometry(one, one, one)),
        ([1, 70, 66, 25, 23], [3, 3], geometry(one, one, one)),
        ([2, 65, 64, 27, 20], [3, 3], geometry(one, [0, 0], one)),
        ([1, 72, 64, 22, 31], [3, 3], geometry(one, [2, 0], one)),
        ([1, 64, 64, 19, 21], [3, 3], geometry(one, [3, 4], one)),
        // Fewer channels, and outputs that vectors do not divide.
        ([1, 32, 33, 24, 32], [3, 3], geometry(one, one, one)),
        // Winograd: small images, and several blocks of tiles, one of which has the end of an image.
        ([20, 68, 72, 7, 8], [3, 3], geometry(one, one, one)),
        ([2, 64, 66, 67, 65], [3, 3], geometry(one, one, one)),
    ]
}

pub fn conv_case(case: &Conv, f: &mut dyn FnMut(&Case)) {
    let ([n, input, output, h, w], [i, j], geometry) = *case;
    for transposed in [false, true] {
        // Transposed: x is a view with its last two axes swapped.
        let run = |t: &[Tensor<1>]| {
            let x = if transposed {
                t[0].clone().reshape([n, input, w, h]).swap_dims(2, 3)
            } else {
                t[0].clone().reshape([n, input, h, w])
            };
            let y = vlp_ops::conv2d(x, t[1].clone().reshape([output, input, i, j]), geometry);
            y.flatten::<1>(0, 3)
        };
        f(&Case {
            name: format!("{case:?}"),
            lengths: vec![n * input * h * w, output * input * i * j],
            f: &run,
        });
    }
}

/// Asserts that a convolution with a fused norm has the bits of one with a separate norm: the output, and the gradients of
/// `x`, the weight and the shortcut; scale and shift frozen or trained.
pub fn check_fused_affine(case: &Conv) {
    let ([n, input, output, h, w], [i, j], geometry) = *case;
    let [rows, columns] = geometry.output_size([h, w], [i, j]);
    let shape = [n, output, rows, columns];
    let run = |fused: bool, device: &Device, tracked: bool, [relu, shortcut]: [bool; 2]| {
        let leaf = |t: Tensor<4>| {
            if device.is_autodiff() {
                t.require_grad()
            } else {
                t
            }
        };
        let line = |seed| {
            let line = random([output], seed, device);
            if tracked { line.require_grad() } else { line }
        };
        let x = leaf(random([n, input, h, w], 1, device));
        let weight = leaf(random([output, input, i, j], 2, device));
        let shortcut = shortcut.then(|| leaf(random(shape, 5, device)));
        let (scale, shift) = (line(3), line(4));
        let after = Affine {
            scale: scale.clone(),
            shift: shift.clone(),
            shortcut: shortcut.clone(),
            relu,
        };
        let y = match fused {
            true => conv2d_affine(x.clone(), weight.clone(), geometry, after),
            false => affine(conv2d(x.clone(), weight.clone(), geometry), after),
        };
        let mut values = vec![to_cpu(y.clone())];
        if device.is_autodiff() {
            let grads = (y * random(shape, 6, device)).sum().backward();
            let inputs = [Some(x), Some(weight), shortcut];
            values.extend(
                inputs
                    .into_iter()
                    .flatten()
                    .map(|t| to_cpu(t.grad(&grads).unwrap())),
            );
            let lines = [scale, shift].into_iter().filter(|_| tracked);
            values.extend(lines.map(|t| to_cpu(t.grad(&grads).unwrap())));
        }
        values
    };
    let device = Device::flex();
    for options in [[false, false], [true, false], [false, true], [true, true]] {
        for (device, tracked) in [
            (&device, false),
            (&device.clone().autodiff(), false),
            (&device.clone().autodiff(), true),
        ] {
            let run = |fused| run(fused, device, tracked, options);
            assert!(run(true) == run(false), "{case:?}, {options:?}, {tracked}");
        }
    }
}

/// Rows, input, output. Some above the size from which multiplications are split into blocks, by rows and by columns, and
/// some by the transposed product.
pub const SIZES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [3, 5, 2],
    // A gradient of great depth.
    [8, 40, 4000],
    // A column-major right operand, in several blocks of columns.
    [200, 64, 600],
    [7, 64, 33],
    [1, 300, 4000],
    [30, 100, 1300],
    [30, 1300, 100],
    [700, 65, 90],
    [150, 130, 129],
];

pub fn linear_case([rows, input, output]: [usize; 3], f: &mut dyn FnMut(&Case)) {
    for biased in [false, true] {
        // x is a view with two axes swapped.
        let run = |t: &[Tensor<1>]| {
            let x = t[0].clone().reshape([1, input, rows]).swap_dims(1, 2);
            let weight = t[1].clone().reshape([input, output]);
            let bias = biased.then(|| t[2].clone());
            vlp_ops::linear(x, weight, bias).flatten::<1>(0, 2)
        };
        let mut lengths = vec![rows * input, input * output];
        lengths.extend(biased.then_some(output));
        f(&Case {
            name: format!("{rows} x {input} to {output}, bias {biased}"),
            lengths,
            f: &run,
        });
    }
}

pub fn tied_case([rows, width, words]: [usize; 3], f: &mut dyn FnMut(&Case)) {
    for biased in [false, true] {
        let run = |t: &[Tensor<1>]| {
            let table = t[1].clone().reshape([words, width]);
            let bias = biased.then(|| t[2].clone());
            let states = t[0].clone().reshape([rows, width]);
            vlp_ops::tied_logits(states, table, bias).flatten::<1>(0, 1)
        };
        let mut lengths = vec![rows * width, words * width];
        lengths.extend(biased.then_some(words));
        f(&Case {
            name: format!("{rows} x {width} to {words}, bias {biased}"),
            lengths,
            f: &run,
        });
    }
}
