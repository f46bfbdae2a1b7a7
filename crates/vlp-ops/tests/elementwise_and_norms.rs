//! Embedding, pooling, activations and norms, compared with burn's own operations in f64 and with finite differences.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::{Case, check, check_threads};
use vlp_ops::{Affine, Conv2dGeometry};

fn geometry(stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2]) -> Conv2dGeometry {
    Conv2dGeometry {
        stride,
        padding,
        dilation,
    }
}

#[test]
fn embedding_agrees_with_f64() {
    let ids: Vec<i32> = vec![3, 0, 3, 6, 6, 6];
    // Two lookups and tied logits: three gradients of one table.
    let run = |t: &[Tensor<1>]| {
        let table = t[0].clone().reshape([7, 5]);
        let device = table.device();
        let lookup = |ids: &[i32]| {
            let ids: Tensor<1, Int> = Tensor::from_ints(ids, &device);
            let rows = vlp_ops::embedding(table.clone(), ids.reshape([2, -1]));
            rows.flatten::<1>(0, 2)
        };
        let states = t[1].clone().reshape([2, 5]);
        let logits = vlp_ops::tied_logits(states, table.clone(), None).flatten::<1>(0, 1);
        Tensor::cat(vec![lookup(&ids), logits, lookup(&ids[..2])], 0)
    };
    let case = Case {
        name: "embedding".into(),
        lengths: vec![35, 10],
        f: &run,
    };
    // Sums of a few values.
    check(&case, 1e-6);
    check_threads(&case);
}

#[test]
fn lookups_without_a_backward_pass_release_the_table() {
    let device = Device::flex().autodiff();
    let table = vlp_testing::random([4, 3], 1, &device).require_grad();
    let ids: Tensor<2, Int> = Tensor::from_ints([[1, 2]], &device);
    let lookup = || vlp_ops::embedding(table.clone(), ids.clone()).sum();
    for _ in 0..3 {
        let _ = lookup();
    }
    let grads = lookup().backward();
    let grad = vlp_testing::to_cpu(table.grad(&grads).unwrap());
    assert_eq!(grad, [0., 0., 0., 1., 1., 1., 1., 1., 1., 0., 0., 0.]);
    let primitive = table
        .inner()
        .try_into_primitive::<burn::backend::Flex>()
        .unwrap();
    // `primitive` and the handle that is counted: no lookup refers to the table any more.
    assert_eq!(std::sync::Arc::strong_count(&primitive.data_arc()), 2);
}

#[test]
fn max_pool2d_agrees_with_f64() {
    let cases = [
        ([1, 1, 4, 4], [2, 2], geometry([2, 2], [0, 0], [1, 1])),
        ([2, 3, 9, 7], [3, 3], geometry([2, 2], [1, 1], [1, 1])),
        ([1, 2, 8, 11], [3, 2], geometry([1, 3], [1, 0], [1, 1])),
        ([1, 2, 6, 5], [5, 4], geometry([2, 1], [2, 1], [1, 1])),
        // Dilation: burn's own operation.
        ([1, 2, 9, 9], [3, 3], geometry([1, 1], [1, 1], [2, 2])),
    ];
    for (shape, kernel, geometry) in cases {
        let run = |t: &[Tensor<1>]| {
            let y = vlp_ops::max_pool2d(t[0].clone().reshape(shape), kernel, geometry);
            y.flatten::<1>(0, 3)
        };
        // Outputs are input values; gradients are sums of a few values.
        let case = Case {
            name: format!("{shape:?} {kernel:?} {geometry:?}"),
            lengths: vec![shape.iter().product()],
            f: &run,
        };
        check(&case, 5e-7);
        check_threads(&case);
    }
}

#[test]
fn max_pool2d_keeps_nan_and_gives_ties_to_the_first() {
    let device = Device::flex().autodiff();
    let geometry = geometry([2, 2], [0, 0], [1, 1]);
    let x = Tensor::<4>::from_data(
        [[[[1.0, 1.0, f32::NAN, 2.0], [1.0, 1.0, 3.0, 4.0]]]],
        &device,
    );
    let x = x.require_grad();
    let y = vlp_ops::max_pool2d(x.clone(), [2, 2], geometry);
    let grads = y.clone().sum().backward();
    let y = vlp_testing::to_cpu(y);
    assert_eq!(y[0], 1.0);
    assert!(y[1].is_nan());
    let grad = vlp_testing::to_cpu(x.grad(&grads).unwrap());
    assert_eq!(grad, [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn gelu_and_softmax_agree_with_f64() {
    for [rows, columns] in [[1, 1], [3, 5], [17, 16], [129, 777]] {
        let gelu = |t: &[Tensor<1>]| vlp_ops::gelu(t[0].clone().mul_scalar(3.0));
        let softmax = |t: &[Tensor<1>]| {
            let x = t[0]
                .clone()
                .mul_scalar(4.0)
                .reshape([columns, rows])
                .swap_dims(0, 1);
            vlp_ops::softmax(x).reshape([-1])
        };
        let size = rows * columns;
        for f in [
            &gelu as &(dyn Fn(&[Tensor<1>]) -> Tensor<1> + Sync),
            &softmax,
        ] {
            let case = Case {
                name: format!("{rows} x {columns}"),
                lengths: vec![size],
                f,
            };
            // The error of erf, 4e-7, times the argument, of at most 6.
            check(&case, 2e-6);
            check_threads(&case);
        }
    }
}

/// Compared with the error function in f64, over the range where GELU is neither 0 nor x.
#[test]
fn gelu_is_accurate_over_its_whole_range() {
    let device = Device::flex();
    let x: Vec<f64> = (-160_000..=160_000)
        .map(|i| f64::from((i as f32) * 1e-4))
        .collect();
    let exact = |x: Tensor<1>| vlp_testing::to_cpu(burn::tensor::activation::gelu(x));
    let expected = exact(Tensor::<1>::from_data(
        &x[..],
        (&device, burn::tensor::DType::F64),
    ));
    let fast = vlp_testing::to_cpu(vlp_ops::gelu(Tensor::<1>::from_data(&x[..], &device)));
    for ((x, a), b) in x.iter().zip(&fast).zip(&expected) {
        // 1 + erf is rounded to 6e-8 near 1, and erf has an error of 4 units in the last place.
        assert!(
            (a - b).abs() <= 2.5e-7 * x.abs() + 1e-12,
            "gelu({x}) = {a}, expected {b}"
        );
    }
    let extreme = vlp_testing::to_cpu(vlp_ops::gelu(Tensor::<1>::from_data(
        [f32::NAN, 1e30, -1e30],
        &device,
    )));
    assert!(extreme[0].is_nan() && extreme[1] == f64::from(1e30f32) && extreme[2] == 0.0);
}

#[test]
fn softmax_handles_infinite_and_huge_scores() {
    let device = Device::flex();
    let masked = f32::NEG_INFINITY;
    let x = Tensor::<2>::from_data([[masked, 1000.0, 1000.0], [-3e38, 0.0, masked]], &device);
    assert_eq!(
        vlp_testing::to_cpu(vlp_ops::softmax(x)),
        [0.0, 0.5, 0.5, 0.0, 1.0, 0.0]
    );
}

#[test]
fn layer_norm_agrees_with_f64() {
    for ([rows, width], epsilon) in [
        ([1, 2], 1e-5),
        ([5, 7], 1e-12),
        ([70, 768], 1e-5),
        ([3, 33], 1e-5),
    ] {
        let run = |t: &[Tensor<1>]| {
            let x = t[0].clone().reshape([width, rows]).swap_dims(0, 1);
            vlp_ops::layer_norm(x, t[1].clone(), t[2].clone(), epsilon).reshape([-1])
        };
        let case = Case {
            name: format!("{rows} x {width}"),
            lengths: vec![rows * width, width, width],
            f: &run,
        };
        // Mean and deviation are sums of up to 768 rounded values; rows of two are nearly singular.
        check(&case, if width == 2 { 2e-5 } else { 5e-6 });
        check_threads(&case);
    }
}

#[test]
fn affine_agrees_with_f64() {
    let shape = [2, 3, 5, 4];
    let count: usize = shape.iter().product();
    for relu in [false, true] {
        for shortcut in [false, true] {
            let run = |t: &[Tensor<1>]| {
                let x = t[0].clone().reshape([2, 3, 4, 5]).swap_dims(2, 3);
                let after = Affine {
                    scale: t[1].clone(),
                    shift: t[2].clone(),
                    shortcut: shortcut.then(|| t[3].clone().reshape(shape)),
                    relu,
                };
                vlp_ops::affine(x, after).flatten::<1>(0, 3)
            };
            let mut lengths = vec![count, 3, 3];
            lengths.extend(shortcut.then_some(count));
            let case = Case {
                name: format!("relu {relu}, shortcut {shortcut}"),
                lengths,
                f: &run,
            };
            // A few roundings per value; sums over 40 values.
            check(&case, 1e-6);
            check_threads(&case);
        }
    }
}

/// `[images, channels, h, w]`: planes of one value and of a few, numbers of channels that strips do not divide, planes
/// longer than a chunk of a sum.
const BATCH_NORM_SHAPES: [[usize; 4]; 5] = [
    [3, 3, 1, 1],
    [3, 5, 4, 3],
    [2, 130, 4, 4],
    [4, 9, 16, 15],
    [1, 2, 90, 91],
];

fn batch_norm_cases(f: &mut dyn FnMut(&Case)) {
    for [n, c, h, w] in BATCH_NORM_SHAPES {
        for (relu, shortcut) in [(false, false), (true, false), (false, true), (true, true)] {
            let run = |t: &[Tensor<1>]| {
                // A view with its last two axes swapped.
                let x = t[0].clone().reshape([n, c, w, h]).swap_dims(2, 3);
                let shortcut = shortcut.then(|| t[3].clone().reshape([n, c, h, w]));
                // A mean other than 0, as the output of a convolution has.
                let x = x + 3.0;
                let (gamma, beta) = (t[1].clone(), t[2].clone());
                let y = vlp_ops::batch_norm(x, gamma, beta, 1e-5, shortcut, relu);
                y.output.flatten::<1>(0, 3)
            };
            let mut lengths = vec![n * c * h * w, c, c];
            lengths.extend(shortcut.then_some(n * c * h * w));
            f(&Case {
                name: format!("{n}x{c}x{h}x{w}, ReLU {relu}, shortcut {shortcut}"),
                lengths,
                f: &run,
            });
        }
    }
}

#[test]
fn batch_norm_agrees_with_f64() {
    // Rounding of values of about 5, scaled up where a channel of three values has a small variance.
    batch_norm_cases(&mut |case| check(case, 3e-6));
}

#[test]
fn batch_norm_does_not_depend_on_the_number_of_threads() {
    batch_norm_cases(&mut |case| check_threads(case));
}

#[test]
fn batch_norm_statistics_are_accurate_far_from_zero() {
    let device = Device::flex().autodiff();
    let [n, c, h, w] = [3, 5, 70, 70];
    let noise = vlp_testing::noise(n * c * h * w, 7);
    let values: Vec<f32> = noise.iter().map(|v| (1000.0 + v) as f32).collect();
    let x = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([n, c, h, w]);
    let x = x.require_grad();
    let (gamma, beta) = (Tensor::ones([c], &device), Tensor::zeros([c], &device));
    let y = vlp_ops::batch_norm(x, gamma, beta, 1e-5, None, false);
    assert!(!y.mean.is_require_grad() && !y.variance.is_require_grad());
    let (means, variances) = (vlp_testing::to_cpu(y.mean), vlp_testing::to_cpu(y.variance));
    for channel in 0..c {
        let planes = values.chunks_exact(h * w).skip(channel).step_by(c);
        let exact: Vec<f64> = planes.flatten().map(|v| f64::from(*v)).collect();
        let count = exact.len() as f64;
        let mean = exact.iter().sum::<f64>() / count;
        let variance = exact.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        // Lanes of 256 values; a unit in the last place of 1000 is 6e-5.
        assert!(
            (means[channel] - mean).abs() < 1e-4,
            "{} {mean}",
            means[channel]
        );
        let error = (variances[channel] - variance).abs() / variance;
        assert!(error < 1e-6, "{} {variance}", variances[channel]);
    }
}

#[test]
fn batch_norm_keeps_nan_and_shared_gradients() {
    let device = Device::flex().autodiff();
    let x = vlp_testing::random([2, 2, 3, 3], 3, &device);
    let [gamma, beta] = [Tensor::ones([2], &device), Tensor::zeros([2], &device)];
    let with_nan = x.clone().slice_fill([0..1, 0..1, 0..1, 0..1], f32::NAN);
    let y = vlp_ops::batch_norm(with_nan, gamma.clone(), beta.clone(), 1e-5, None, true);
    let y = vlp_testing::to_cpu(y.output);
    // The channel with NaN alone.
    for (i, y) in y.iter().enumerate() {
        assert_eq!(y.is_nan(), i / 9 % 2 == 0, "{i}: {y}");
    }
    // The gradient of the norm's output is also that of `other`: overwriting it would change both.
    let [x, other] = [x.clone(), x].map(|x| x.detach().require_grad());
    let norm = vlp_ops::batch_norm(x.clone(), gamma, beta, 1e-5, None, false).output;
    let grads = ((norm + other.clone()) * 2.0).sum().backward();
    let other = vlp_testing::to_cpu(other.grad(&grads).unwrap());
    assert!(other.iter().all(|g| *g == 2.0), "{other:?}");
    let x = vlp_testing::to_cpu(x.grad(&grads).unwrap());
    // A constant gradient has no effect through a norm.
    assert!(x.iter().all(|g| g.abs() < 1e-5), "{x:?}");
}
