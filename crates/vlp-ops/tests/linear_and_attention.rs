//! Linear layers, tied logits, attention, log-probabilities, dropout and the nearest-code search, compared with burn's own
//! operations in f64 and with finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::nn::DropoutConfig;
use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use common::cases::{SIZES, linear_case, tied_case};
use common::{Case, check, check_threads};
use vlp_ops::DropoutMask;

/// Sums of up to 1,300 terms of up to 4.
const TOLERANCE: f64 = 2e-6;

#[test]
fn linear_agrees_with_f64() {
    for size in SIZES {
        linear_case(size, &mut |case| {
            check(case, TOLERANCE);
            check_threads(case);
        });
    }
}

#[test]
fn tied_logits_agree_with_f64() {
    for size in SIZES {
        tied_case(size, &mut |case| {
            check(case, TOLERANCE);
            check_threads(case);
        });
    }
}

#[test]
fn frozen_weight_gets_no_gradient() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::ones([3, 4], &device).require_grad();
    let weight = Tensor::<2>::ones([4, 5], &device);
    let grads = vlp_ops::linear(x.clone(), weight.clone(), None)
        .sum()
        .backward();
    assert!(weight.grad(&grads).is_none());
    let grad: Vec<f32> = x.grad(&grads).unwrap().into_data().iter().collect();
    assert_eq!(grad, [5.0; 12]);
}

/// Batch, heads, queries, keys, width.
const ATTENTION_SHAPES: [[usize; 5]; 6] = [
    [1, 1, 1, 1, 1],
    [2, 3, 5, 4, 6],
    [1, 2, 1, 70, 16],
    [2, 2, 9, 3, 8],
    [1, 2, 150, 65, 12],
    [3, 4, 40, 40, 32],
];

/// A bias of the scores; it gets no gradient.
fn constant(shape: [usize; 4], reference: &Tensor<1>, f: impl Fn(usize) -> f32) -> Tensor<4> {
    let values: Vec<f32> = (0..shape.iter().product()).map(f).collect();
    Tensor::from_data(
        TensorData::new(values, shape),
        (&reference.device(), reference.dtype()),
    )
}

/// The process has one random stream: tests that use it take turns.
static STREAM: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn attention_agrees_with_f64() {
    let _turn = STREAM.lock();
    let layer = DropoutConfig::new(0.2).init();
    for [batch, heads, queries, keys, width] in ATTENTION_SHAPES {
        let mask = DropoutMask::sample(&layer, &Device::flex().autodiff());
        assert!(mask.is_some());
        for variant in 0..4 {
            let run = |t: &[Tensor<1>]| {
                let query = t[0].clone().reshape([batch, queries, width]);
                let key = t[1].clone().reshape([batch, width, keys]).swap_dims(1, 2);
                let value = t[2].clone().reshape([batch, keys, width]);
                // Every third key masked, or a bias for each query.
                let bias = match variant {
                    1 => Some(constant([1, 1, 1, keys], &t[0], |i| {
                        if i % 3 == 1 { -1e9 } else { 0.0 }
                    })),
                    2 => Some(constant([batch, 1, queries, keys], &t[0], |i| {
                        (i % 7) as f32 * 0.25
                    })),
                    _ => None,
                };
                let mask = (variant >= 2).then_some(mask).flatten();
                vlp_ops::attention(query, key, value, bias, mask, heads).flatten::<1>(0, 2)
            };
            let case = Case {
                name: format!(
                    "{batch}, {heads} heads, {queries} x {keys}, {width}, variant {variant}"
                ),
                lengths: vec![
                    batch * queries * width,
                    batch * keys * width,
                    batch * keys * width,
                ],
                f: &run,
            };
            // Exponentials of scores of up to 20: errors of a few times 6e-8, times the score.
            check(&case, 5e-6);
            check_threads(&case);
        }
    }
}

#[test]
fn log_prob_agrees_with_f64() {
    for [rows, classes] in [[1, 1], [4, 3], [33, 2000]] {
        let labels: Vec<i32> = (0..rows).map(|i| (i * 31 % classes) as i32).collect();
        let run = |t: &[Tensor<1>]| {
            let logits = t[0].clone().mul_scalar(4.0).reshape([rows, classes]);
            vlp_ops::log_prob(logits, &labels)
        };
        let case = Case {
            name: format!("{rows} x {classes}"),
            lengths: vec![rows * classes],
            f: &run,
        };
        // The logarithm of a sum of 2,000 exponentials.
        check(&case, 3e-6);
        check_threads(&case);
    }
}

#[test]
fn log_prob_of_huge_logits_does_not_overflow() {
    let device = Device::flex();
    let logits = Tensor::<2>::from_floats([[1e4, -1e4, 0.0], [-3e38, -3e38, 3e38]], &device);
    let log_probs: Vec<f32> = vlp_ops::log_prob(logits, &[0, 2])
        .into_data()
        .iter()
        .collect();
    assert_eq!(log_probs, [0.0, 0.0]);
}

/// Each value is dropped with the layer's probability and the rest are scaled, the gradient by the same factors; the
/// device's seed decides.
#[test]
fn dropout_follows_its_seed() {
    let _turn = STREAM.lock();
    let device = Device::flex().autodiff();
    let layer = DropoutConfig::new(0.3).init();
    let count = 200_000;
    let dropout = |seed: u64| {
        device.seed(seed);
        let x = Tensor::<1>::ones([count], &device).require_grad();
        let y = vlp_ops::dropout(&layer, x.clone());
        let grads = y.clone().mul_scalar(2.0).sum().backward();
        let grad: Vec<f32> = x.grad(&grads).unwrap().into_data().iter().collect();
        let y: Vec<f32> = y.into_data().iter().collect();
        assert!(y.iter().zip(&grad).all(|(y, g)| *g == 2.0 * *y));
        y
    };
    let (first, repeated, second) = (dropout(1), dropout(1), dropout(2));
    assert_eq!(first, repeated);
    for values in [&first, &second] {
        assert!(
            values
                .iter()
                .all(|v| *v == 0.0 || (*v - 1.0 / 0.7).abs() < 1e-6)
        );
        let dropped = values.iter().filter(|v| **v == 0.0).count() as f64 / count as f64;
        // Five standard deviations of the mean of so many samples.
        assert!(
            (dropped - 0.3).abs() < 5.0 * (0.21 / count as f64).sqrt(),
            "{dropped}"
        );
    }
    // Neither a shifted mask nor that of another seed agrees with it more often than by chance (0.58).
    let agreement = |a: &[f32], b: &[f32]| {
        let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
        same as f64 / a.len().min(b.len()) as f64
    };
    for other in [
        &second[..],
        &first[1..],
        &first[2..],
        &first[64..],
        &first[4096..],
    ] {
        assert!(
            (agreement(&first, other) - 0.58).abs() < 0.006,
            "{}",
            agreement(&first, other)
        );
    }
    let x = Tensor::<1>::ones([8], &Device::flex());
    let unchanged: Vec<f32> = vlp_ops::dropout(&layer, x).into_data().iter().collect();
    assert_eq!(unchanged, [1.0; 8]);
}

/// For one task and several, numbers of codes that vectors divide and do not, and codes that occur twice.
#[test]
fn nearest_code_is_the_first_nearest_row() {
    for [rows, width, codes] in [[1, 3, 1], [5, 8, 17], [70, 33, 64], [900, 20, 101]] {
        let run = |dtype| {
            let tensor = |shape: [usize; 2], seed| -> Tensor<2> {
                let values = vlp_testing::noise(shape[0] * shape[1], seed);
                let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
                Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
            };
            let table = tensor([codes, width], 2);
            let x = Tensor::cat(vec![tensor([rows, width], 1), table.clone()], 0);
            let indices = vlp_ops::nearest_code(x, Tensor::cat(vec![table.clone(), table], 0));
            indices.into_data().iter().collect::<Vec<i64>>()
        };
        let [fast, expected] = [DType::F32, DType::F64].map(run);
        // Each of the last rows is a row of the table, which occurs twice.
        assert_eq!(fast[rows..], (0..codes as i64).collect::<Vec<_>>());
        assert_eq!(fast, expected, "{rows} x {width} in {codes}");
    }
}
