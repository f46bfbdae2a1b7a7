//! Convolution and norm against burn's own layers and against formulas.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::module::Module;
use burn::prelude::*;
use common::{distance, host, random, scatter_norms};
use vlp_vision::conv::{ConvSpec, conv2d};

/// Two orders of summation over at most 12 terms of size 1.
const ROUNDING: f64 = 2e-6;

#[test]
fn the_matrix_product_is_the_convolution() {
    let device = Device::flex().autodiff();
    for (stride, h, w) in [(1, 7, 5), (2, 7, 5), (2, 8, 6), (3, 1, 1)] {
        let conv = ConvSpec::pointwise(12, 5, stride).init(&device).conv;
        let pass = |fast: bool| {
            let x = random([2, 12, h, w], 7, &device).require_grad();
            let y = if fast {
                conv2d(&conv, x.clone())
            } else {
                conv.forward(x.clone())
            };
            let grads = (y.clone() * random(y.dims(), 8, &device)).sum().backward();
            let weight = conv.weight.val().grad(&grads).unwrap();
            (y.inner(), x.grad(&grads).unwrap(), weight)
        };
        let ((y, dx, dw), (y0, dx0, dw0)) = (pass(true), pass(false));
        assert!(distance(y, y0) < ROUNDING, "stride {stride}");
        assert!(distance(dx, dx0) < ROUNDING, "stride {stride}");
        // Weight gradients sum over up to 70 cells.
        assert!(distance(dw, dw0) < 1e-5, "stride {stride}");
    }
}

#[test]
fn a_fixed_norm_is_burns_batch_norm() {
    let device = Device::flex();
    let layer = scatter_norms(ConvSpec::three(4, 6, 1, 1).init(&device));
    let x = random([2, 4, 9, 7], 2, &device);
    let apart = layer.norm.forward(layer.conv.forward(x.clone()));
    assert!(
        distance(layer.forward(x), apart) < 2e-6,
        "values of size 1, a few roundings"
    );
}

#[test]
fn running_statistics_follow_pytorchs_rule() {
    let device = Device::flex().autodiff();
    let layer = ConvSpec::pointwise(3, 3, 1).init(&device);
    let x = random([2, 3, 4, 5], 9, &device);
    let (mut mean, mut variance) = ([0.0f64; 3], [1.0f64; 3]);
    for _ in 0..3 {
        let y = host(conv2d(&layer.conv, x.clone()));
        layer.forward(x.clone());
        for channel in 0..3 {
            let at: Vec<f64> = (0..2)
                .flat_map(|n| &y[(n * 3 + channel) * 20..(n * 3 + channel + 1) * 20])
                .map(|&v| f64::from(v))
                .collect();
            let m = at.iter().sum::<f64>() / 40.0;
            // Unbiased: 39, not 40.
            let v = at.iter().map(|a| (a - m).powi(2)).sum::<f64>() / 39.0;
            mean[channel] = 0.9 * mean[channel] + 0.1 * m;
            variance[channel] = 0.9 * variance[channel] + 0.1 * v;
        }
    }
    let norm = layer.valid().norm;
    for (got, want) in [
        (norm.running_mean.value(), mean),
        (norm.running_var.value(), variance),
    ] {
        for (got, want) in host(got).into_iter().zip(want) {
            assert!((f64::from(got) - want).abs() < 1e-6, "{got} {want}");
        }
    }
}

#[test]
fn gradients_are_finite_differences_of_the_output() {
    let device = Device::flex().autodiff();
    for norm_trains in [false, true] {
        let mut layer = scatter_norms(ConvSpec::three(2, 3, 2, 1).init(&device));
        if !norm_trains {
            layer.norm = layer.norm.freeze();
        }
        let x = random([2, 2, 5, 5], 4, &device);
        let direction = random([2, 2, 5, 5], 5, &device);
        let weigh = random([2, 3, 3, 3], 6, &device);
        let loss = |x: Tensor<4>| (layer.forward(x) * weigh.clone()).sum();
        let leaf = x.clone().require_grad();
        let grads = loss(leaf.clone()).backward();
        let slope = host((leaf.grad(&grads).unwrap() * direction.clone().inner()).sum())[0];
        let step = 1e-2;
        let at = |sign: f32| host(loss(x.clone() + direction.clone() * (sign * step)))[0];
        let difference = (at(1.0) - at(-1.0)) / (2.0 * step);
        // f32 values of size 10 leave 1e-6 / 1e-2; the norm's curvature adds step squared.
        assert!(
            (slope - difference).abs() < 2e-3 * slope.abs().max(1.0),
            "{slope} {difference}"
        );
    }
}
