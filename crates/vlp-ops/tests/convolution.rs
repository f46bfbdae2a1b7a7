//! Convolutions against burn's own in f64 and against finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use common::cases::{conv_case, convolutions, finished_alike, window};
use common::{agree, close, threads_do_not_matter};
use vlp_ops::Conv2dGeometry;

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
            vlp_testing::to_cpu(vlp_ops::conv2d(x, weight, window))
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
fn convolution_and_norm_as_one() {
    convolutions().iter().for_each(finished_alike);
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

#[test]
fn a_window_does_not_count_past_the_end_of_numbers() {
    let positions = |stride, padding, dilation| {
        let window = Conv2dGeometry {
            stride: [stride; 2],
            padding: [padding; 2],
            dilation: [dilation; 2],
        };
        window.output_size([5, 5], [3, 3])
    };
    assert_eq!(positions(1, 1 << 63, 1), [usize::MAX - 2; 2]);
    assert_eq!(positions(1, 1, usize::MAX), [0; 2]);
    assert_eq!(positions(0, 1, 1), [0; 2]);
    assert_eq!(positions(2, 1, 1), [3; 2]);
}
