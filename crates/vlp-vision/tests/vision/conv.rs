//! Convolution and norm against burn's layers and against formulas.

use crate::common::{max_abs_diff, perturb_norms, random, to_cpu};
use burn::module::Module;
use burn::prelude::*;
use vlp_vision::conv::{ConvSpec, conv2d};

/// At most 12 terms of size 1, summed in different orders.
const ROUNDING: f64 = 2e-6;

#[test]
fn conv2d_equals_burns_convolution() {
    let device = Device::flex().autodiff();
    for (stride, h, w) in [(1, 7, 5), (2, 7, 5), (2, 8, 6), (3, 1, 1)] {
        let conv = ConvSpec::conv1x1(12, 5, stride).init(&device).conv;
        let forward_backward = |fast: bool| {
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
        let (y, grad_x, grad_weight) = forward_backward(true);
        let (burn_y, burn_grad_x, burn_grad_weight) = forward_backward(false);
        assert!(max_abs_diff(y, burn_y) < ROUNDING, "stride {stride}");
        assert!(
            max_abs_diff(grad_x, burn_grad_x) < ROUNDING,
            "stride {stride}"
        );
        // Weight gradients sum over up to 70 positions.
        let diff = max_abs_diff(grad_weight, burn_grad_weight);
        assert!(diff < 1e-5, "stride {stride}");
    }
}

#[test]
fn inference_norm_equals_burns_batch_norm() {
    let device = Device::flex();
    let layer = perturb_norms(ConvSpec::conv3x3(4, 6, 1, 1).init(&device));
    let x = random([2, 4, 9, 7], 2, &device);
    let expected = layer.norm.forward(layer.conv.forward(x.clone()));
    assert!(
        max_abs_diff(layer.forward(x), expected) < 2e-6,
        "values of size 1"
    );
}

#[test]
fn running_statistics_follow_pytorchs_rule() {
    let device = Device::flex().autodiff();
    let layer = ConvSpec::conv1x1(3, 3, 1).init(&device);
    let x = random([2, 3, 4, 5], 9, &device);
    let (mut mean, mut variance) = ([0.0f64; 3], [1.0f64; 3]);
    for _ in 0..3 {
        let y = to_cpu(conv2d(&layer.conv, x.clone()));
        layer.forward(x.clone());
        for channel in 0..3 {
            let values: Vec<f64> = (0..2)
                .flat_map(|n| &y[(n * 3 + channel) * 20..(n * 3 + channel + 1) * 20])
                .map(|&v| f64::from(v))
                .collect();
            let batch_mean = values.iter().sum::<f64>() / 40.0;
            let squares: f64 = values.iter().map(|v| (v - batch_mean).powi(2)).sum();
            mean[channel] = 0.9 * mean[channel] + 0.1 * batch_mean;
            // Unbiased: 39 = 40 - 1.
            variance[channel] = 0.9 * variance[channel] + 0.1 * squares / 39.0;
        }
    }
    let norm = layer.valid().norm;
    for (actual, expected) in [
        (norm.running_mean.value(), mean),
        (norm.running_var.value(), variance),
    ] {
        for (actual, expected) in to_cpu(actual).into_iter().zip(expected) {
            let diff = f64::from(actual) - expected;
            assert!(diff.abs() < 1e-6, "{actual} {expected}");
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let device = Device::flex().autodiff();
    for train_norm in [false, true] {
        let mut layer = perturb_norms(ConvSpec::conv3x3(2, 3, 2, 1).init(&device));
        if !train_norm {
            layer.norm = layer.norm.freeze();
        }
        let x = random([2, 2, 5, 5], 4, &device);
        let direction = random([2, 2, 5, 5], 5, &device);
        let weights = random([2, 3, 3, 3], 6, &device);
        let loss = |x: Tensor<4>| (layer.forward(x) * weights.clone()).sum();
        let leaf = x.clone().require_grad();
        let grads = loss(leaf.clone()).backward();
        let autodiff = to_cpu((leaf.grad(&grads).unwrap() * direction.clone().inner()).sum())[0];
        let step = 1e-2;
        let perturbed = |sign: f32| to_cpu(loss(x.clone() + direction.clone() * (sign * step)))[0];
        let numeric = (perturbed(1.0) - perturbed(-1.0)) / (2.0 * step);
        // Rounding of f32 values of size 10 is 1e-6 / 1e-2; the curvature of the norm adds `step` squared.
        assert!(
            (autodiff - numeric).abs() < 2e-3 * autodiff.abs().max(1.0),
            "{autodiff} {numeric}"
        );
    }
}

#[test]
#[should_panic(expected = "a kernel of 0 pixels")]
fn a_kernel_of_no_pixels_is_refused() {
    let spec = ConvSpec {
        kernel: 0,
        ..ConvSpec::conv1x1(2, 2, 1)
    };
    spec.init(&Device::flex());
}

#[test]
fn padding_preserves_the_size_for_odd_kernels() {
    let device = Device::flex();
    let x = random([1, 2, 9, 7], 1, &device);
    for (kernel, dilation) in [(1, 1), (3, 1), (3, 2), (5, 1), (7, 3)] {
        let spec = ConvSpec {
            kernel,
            dilation,
            ..ConvSpec::conv1x1(2, 4, 1)
        };
        assert_eq!(spec.init(&device).forward(x.clone()).dims(), [1, 4, 9, 7]);
    }
}
