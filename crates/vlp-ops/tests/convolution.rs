//! Convolutions against burn's own in f64 and against finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use common::{Case, agree, close, threads_do_not_matter};
use vlp_ops::Window;

/// One convolution: `[images, in, out, h, w]`, kernel, window.
type Conv = ([usize; 5], [usize; 2], Window);

fn window(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2]) -> Window {
    Window {
        stride,
        padding,
        dilation,
    }
}

fn convolutions() -> Vec<Conv> {
    let one = [1; 2];
    vec![
        ([1, 1, 1, 3, 3], [3, 3], window(one, [0, 0], one)),
        ([2, 3, 5, 7, 6], [3, 3], window(one, one, one)),
        ([2, 17, 4, 9, 11], [3, 3], window([2, 2], one, one)),
        ([1, 33, 3, 8, 5], [1, 1], window(one, [0, 0], one)),
        ([3, 2, 4, 13, 10], [3, 2], window([2, 3], [2, 1], [1, 2])),
        ([1, 4, 2, 12, 12], [3, 3], window(one, [2, 2], [2, 2])),
        ([1, 3, 8, 21, 19], [7, 7], window([2, 2], [3, 3], one)),
        // More padding than the kernel reaches.
        ([1, 2, 3, 5, 5], [2, 2], window(one, [2, 2], one)),
        // A kernel that never leaves the padding at the map's ends.
        ([1, 2, 2, 2, 1], [5, 5], window(one, [2, 2], one)),
        // Many positions: tiles, some across two images.
        ([3, 2, 2, 45, 37], [3, 3], window(one, one, one)),
        ([2, 6, 3, 91, 50], [3, 3], window([2, 1], one, one)),
        // Products of matrices as they are, and strided.
        ([2, 40, 130, 30, 31], [1, 1], window(one, [0, 0], one)),
        ([2, 70, 40, 25, 24], [1, 1], window([2, 2], [0, 0], one)),
        // Many small maps, counted as one.
        ([9, 24, 40, 5, 6], [3, 3], window(one, one, one)),
        ([30, 40, 70, 4, 4], [1, 1], window(one, [0, 0], one)),
        ([30, 40, 24, 7, 8], [1, 1], window([2, 2], [0, 0], one)),
        ([5, 70, 20, 12, 12], [3, 3], window([2, 2], one, one)),
        // Few tiles and more outputs than a task takes.
        ([1, 96, 100, 14, 12], [3, 3], window(one, one, one)),
        // More outputs than positions, a strided one of many channels.
        ([2, 24, 40, 6, 6], [3, 3], window(one, one, one)),
        // Tiles of 2x2 positions: maps they divide and do not, one run of inputs and more, all paddings.
        ([1, 32, 33, 24, 32], [3, 3], window(one, one, one)),
        ([1, 70, 35, 25, 23], [3, 3], window(one, one, one)),
        ([2, 33, 64, 27, 20], [3, 3], window(one, [0, 0], one)),
        ([1, 40, 32, 22, 31], [3, 3], window(one, [2, 0], one)),
        ([1, 32, 32, 19, 21], [3, 3], window(one, [3, 4], one)),
        // Small maps, and several blocks of tiles, of which one holds the end of an image.
        ([20, 36, 40, 7, 8], [3, 3], window(one, one, one)),
        ([2, 32, 34, 67, 65], [3, 3], window(one, one, one)),
    ]
}

fn conv_case(case: &Conv, f: &mut dyn FnMut(&Case)) {
    let ([n, input, output, h, w], [i, j], window) = *case;
    for turned in [false, true] {
        // Turned: x comes as a view with its last two axes swapped.
        let run = |t: &[Tensor<1>]| {
            let x = if turned {
                t[0].clone().reshape([n, input, w, h]).swap_dims(2, 3)
            } else {
                t[0].clone().reshape([n, input, h, w])
            };
            let y = vlp_ops::conv2d(x, t[1].clone().reshape([output, input, i, j]), window);
            y.flatten::<1>(0, 3)
        };
        f(&Case {
            name: format!("{case:?}"),
            sizes: vec![n * input * h * w, output * input * i * j],
            f: &run,
        });
    }
}

#[test]
fn convolution() {
    // Sums of up to 4000 products, each rounded to 6e-8.
    convolutions()
        .iter()
        .for_each(|case| conv_case(case, &mut |c| agree(c, 3e-6)));
}

/// Without autodiff some are computed by another algorithm.
#[test]
fn convolution_without_gradients() {
    for case in convolutions() {
        let ([n, input, output, h, w], [i, j], window) = case;
        let run = |dtype| {
            let tensor = |shape: [usize; 4], seed| -> Tensor<4> {
                let values = vlp_testing::noise(shape.iter().product(), seed);
                let values: Vec<f32> = values.iter().map(|v| 2.0 * *v as f32).collect();
                Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
            };
            let (x, weight) = (
                tensor([n, input, h, w], 1),
                tensor([output, input, i, j], 2),
            );
            vlp_testing::host(vlp_ops::conv2d(x, weight, window))
        };
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| run(DType::F32))
        });
        assert!(one == three, "{case:?}: results depend on the threads");
        // As `convolution`.
        close(&format!("{case:?}"), "output", &one, &run(DType::F64), 3e-6);
    }
}

#[test]
fn convolution_on_any_number_of_threads() {
    convolutions()
        .iter()
        .for_each(|case| conv_case(case, &mut |c| threads_do_not_matter(c)));
}

#[test]
fn a_frozen_weight_gets_no_gradient() {
    let device = Device::flex().autodiff();
    let x = vlp_testing::random([1, 2, 5, 5], 1, &device).require_grad();
    let weight = vlp_testing::random([3, 2, 3, 3], 2, &device);
    let window = window([1; 2], [1; 2], [1; 2]);
    let grads = vlp_ops::conv2d(x.clone(), weight.clone(), window)
        .sum()
        .backward();
    assert!(x.grad(&grads).is_some());
    assert!(weight.grad(&grads).is_none());
}
