//! Convolutions, compared with burn's own in f64 and with finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use common::cases::{check_fused_affine, conv_case, convolutions, geometry};
use common::{assert_close, check, check_threads};
use vlp_ops::Conv2dGeometry;

#[test]
fn outputs_and_gradients_agree_with_f64() {
    // Sums of up to 4000 terms, each rounded to 6e-8.
    convolutions()
        .iter()
        .for_each(|case| conv_case(case, &mut |c| check(c, 3e-6)));
}

/// Without autodiff some are computed by another algorithm.
#[test]
fn outputs_without_autodiff_agree_with_f64() {
    for case in convolutions() {
        let ([n, input, output, h, w], [i, j], geometry) = case;
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
            vlp_testing::to_cpu(vlp_ops::conv2d(x, weight, geometry))
        };
        let [one_thread, three_threads] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| run(DType::F32))
        });
        assert!(
            one_thread == three_threads,
            "{case:?}: results depend on the number of threads"
        );
        let (name, expected) = (format!("{case:?}"), run(DType::F64));
        assert_close(&name, "output", &one_thread, &expected, 3e-6);
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    convolutions()
        .iter()
        .for_each(|case| conv_case(case, &mut |c| check_threads(c)));
}

#[test]
fn fused_norm_has_the_bits_of_a_separate_one() {
    convolutions().iter().for_each(check_fused_affine);
}

#[test]
fn frozen_weight_gets_no_gradient() {
    let device = Device::flex().autodiff();
    let x = vlp_testing::random([1, 2, 5, 5], 1, &device).require_grad();
    let weight = vlp_testing::random([3, 2, 3, 3], 2, &device);
    let geometry = geometry([1; 2], [1; 2], [1; 2]);
    let grads = vlp_ops::conv2d(x.clone(), weight.clone(), geometry)
        .sum()
        .backward();
    assert!(x.grad(&grads).is_some());
    assert!(weight.grad(&grads).is_none());
}

#[test]
fn output_size_does_not_overflow() {
    let output_size = |stride, padding, dilation| {
        let geometry = Conv2dGeometry {
            stride: [stride; 2],
            padding: [padding; 2],
            dilation: [dilation; 2],
        };
        geometry.output_size([5, 5], [3, 3])
    };
    assert_eq!(output_size(1, 1 << 63, 1), [usize::MAX - 2; 2]);
    assert_eq!(output_size(1, 1, usize::MAX), [0; 2]);
    assert_eq!(output_size(0, 1, 1), [0; 2]);
    assert_eq!(output_size(2, 1, 1), [3; 2]);
}
