//! Linear layers, tied scores, attention and log-probabilities against burn's own operations in f64 and against finite
//! differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::nn::DropoutConfig;
use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use common::cases::{SIZES, linear_case, tied_case};
use common::{Case, agree, threads_do_not_matter};
use vlp_ops::DropoutMask;

/// Sums of up to 1,300 products of up to 4.
const TOLERANCE: f64 = 2e-6;

#[test]
fn linear() {
    for size in SIZES {
        linear_case(size, &mut |case| {
            agree(case, TOLERANCE);
            threads_do_not_matter(case);
        });
    }
}

#[test]
fn tied() {
    for size in SIZES {
        tied_case(size, &mut |case| {
            agree(case, TOLERANCE);
            threads_do_not_matter(case);
        });
    }
}

/// A weight that is not trained costs no gradient, and its input gets the same one.
#[test]
fn what_is_frozen_gets_no_gradient() {
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
const ATTENTIONS: [[usize; 5]; 6] = [
    [1, 1, 1, 1, 1],
    [2, 3, 5, 4, 6],
    [1, 2, 1, 70, 16],
    [2, 2, 9, 3, 8],
    [1, 2, 150, 65, 12],
    [3, 4, 40, 40, 32],
];

/// Values in place of scores' bias: no gradient goes there, so they are constants.
fn constant(shape: [usize; 4], like: &Tensor<1>, f: impl Fn(usize) -> f32) -> Tensor<4> {
    let values: Vec<f32> = (0..shape.iter().product()).map(f).collect();
    Tensor::from_data(
        TensorData::new(values, shape),
        (&like.device(), like.dtype()),
    )
}

/// The device's random stream is the whole process's: tests that draw take turns.
static STREAM: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn attention() {
    let _turn = STREAM.lock();
    let layer = DropoutConfig::new(0.2).init();
    for [batch, heads, queries, keys, width] in ATTENTIONS {
        let drops = DropoutMask::sample(&layer, &Device::flex().autodiff());
        assert!(drops.is_some());
        for how in 0..4 {
            let run = |t: &[Tensor<1>]| {
                let query = t[0].clone().reshape([batch, queries, width]);
                let key = t[1].clone().reshape([batch, width, keys]).swap_dims(1, 2);
                let value = t[2].clone().reshape([batch, keys, width]);
                // Every third key hidden, or a bias of its own for each query.
                let bias = match how {
                    1 => Some(constant([1, 1, 1, keys], &t[0], |i| {
                        if i % 3 == 1 { -1e9 } else { 0.0 }
                    })),
                    2 => Some(constant([batch, 1, queries, keys], &t[0], |i| {
                        (i % 7) as f32 * 0.25
                    })),
                    _ => None,
                };
                let drops = (how >= 2).then_some(drops).flatten();
                vlp_ops::attention(query, key, value, bias, drops, heads).flatten::<1>(0, 2)
            };
            let case = Case {
                name: format!("{batch}, {heads} heads, {queries} x {keys}, {width}, case {how}"),
                sizes: vec![
                    batch * queries * width,
                    batch * keys * width,
                    batch * keys * width,
                ],
                f: &run,
            };
            // Exponentials of scores of up to 20, rounded to some units of 6e-8 times the score.
            agree(&case, 5e-6);
            threads_do_not_matter(&case);
        }
    }
}

#[test]
fn log_prob() {
    for [rows, classes] in [[1, 1], [4, 3], [33, 2000]] {
        let labels: Vec<i32> = (0..rows).map(|i| (i * 31 % classes) as i32).collect();
        let run = |t: &[Tensor<1>]| {
            let logits = t[0].clone().mul_scalar(4.0).reshape([rows, classes]);
            vlp_ops::log_prob(logits, &labels)
        };
        let case = Case {
            name: format!("{rows} x {classes}"),
            sizes: vec![rows * classes],
            f: &run,
        };
        // The logarithm of a sum of 2,000 exponentials.
        agree(&case, 3e-6);
        threads_do_not_matter(&case);
    }
}

/// Logits far apart neither overflow nor lose the chosen class.
#[test]
fn log_prob_of_huge_logits() {
    let device = Device::flex();
    let logits = Tensor::<2>::from_floats([[1e4, -1e4, 0.0], [-3e38, -3e38, 3e38]], &device);
    let got: Vec<f32> = vlp_ops::log_prob(logits, &[0, 2])
        .into_data()
        .iter()
        .collect();
    assert_eq!(got, [0.0, 0.0]);
}

/// Each value falls out with the layer's probability, the rest are scaled, the gradient by the same factors; the
/// device's seed decides.
#[test]
fn dropout_follows_its_seed() {
    let _turn = STREAM.lock();
    let device = Device::flex().autodiff();
    let layer = DropoutConfig::new(0.3).init();
    let count = 200_000;
    let drop = |seed: u64| {
        device.seed(seed);
        let x = Tensor::<1>::ones([count], &device).require_grad();
        let y = vlp_ops::dropout(&layer, x.clone());
        let grads = y.clone().mul_scalar(2.0).sum().backward();
        let grad: Vec<f32> = x.grad(&grads).unwrap().into_data().iter().collect();
        let y: Vec<f32> = y.into_data().iter().collect();
        assert!(y.iter().zip(&grad).all(|(y, g)| *g == 2.0 * *y));
        y
    };
    let (first, again, other) = (drop(1), drop(1), drop(2));
    assert_eq!(first, again);
    for values in [&first, &other] {
        assert!(
            values
                .iter()
                .all(|v| *v == 0.0 || (*v - 1.0 / 0.7).abs() < 1e-6)
        );
        let dropped = values.iter().filter(|v| **v == 0.0).count() as f64 / count as f64;
        // Five standard deviations of the mean of so many draws.
        assert!(
            (dropped - 0.3).abs() < 5.0 * (0.21 / count as f64).sqrt(),
            "{dropped}"
        );
    }
    // Neither with itself some places on nor with another seed does it agree more often than chance (0.58).
    let alike = |a: &[f32], b: &[f32]| {
        let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
        same as f64 / a.len().min(b.len()) as f64
    };
    for other in [
        &other[..],
        &first[1..],
        &first[2..],
        &first[64..],
        &first[4096..],
    ] {
        assert!(
            (alike(&first, other) - 0.58).abs() < 0.006,
            "{}",
            alike(&first, other)
        );
    }
    let calm = Device::flex();
    let x = Tensor::<1>::ones([8], &calm);
    let kept: Vec<f32> = vlp_ops::dropout(&layer, x).into_data().iter().collect();
    assert_eq!(kept, [1.0; 8]);
}

/// Of many rows a task, one and none over a vector's lanes, and codes that stand twice.
#[test]
fn the_nearest_row_of_a_table() {
    for [rows, width, codes] in [[1, 3, 1], [5, 8, 17], [70, 33, 64], [900, 20, 101]] {
        let run = |dtype| {
            let tensor = |shape: [usize; 2], seed| -> Tensor<2> {
                let values = vlp_testing::noise(shape[0] * shape[1], seed);
                let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
                Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
            };
            let table = tensor([codes, width], 2);
            let x = Tensor::cat(vec![tensor([rows, width], 1), table.clone()], 0);
            let found = vlp_ops::nearest_code(x, Tensor::cat(vec![table.clone(), table], 0));
            found.into_data().iter().collect::<Vec<i64>>()
        };
        let [fast, own] = [DType::F32, DType::F64].map(run);
        // Of the last ones each is a row of the table, which stands there twice.
        assert_eq!(fast[rows..], (0..codes as i64).collect::<Vec<_>>());
        assert_eq!(fast, own, "{rows} x {width} in {codes}");
    }
}
