//! Updates of parameters, and the sum of squares of gradients, compared with burn's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::prelude::*;
use burn::tensor::DType;
use vlp_ops::{AdamWStep, AdamWUpdate, UpdateControl, adamw_all};

#[test]
fn adamw_agrees_with_burn() {
    use burn::optim::{AdamWConfig, Optimizer};
    let device = Device::flex();
    let burn_optimizer = AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(0.1)
        .build();
    let mut fast = (vlp_testing::random([37, 5], 1, &device), None);
    let mut expected = (fast.0.clone(), None);
    for step_number in 1..=20 {
        let grad = vlp_testing::random([37, 5], 1 + step_number as u64, &device);
        let step = AdamWStep {
            grad_scale: 0.5,
            learning_rate: 1e-2,
            weight_decay: 0.1,
            step_number,
            ..Default::default()
        };
        let (parameter, first, second) = vlp_ops::adamw(fast.0, grad.clone(), fast.1, step);
        fast = (parameter, Some((first, second)));
        expected = burn_optimizer.step(1e-2, expected.0, grad.mul_scalar(0.5), expected.1);
    }
    // Twenty updates of 1e-2, each rounded a few times.
    assert!(vlp_testing::max_abs_diff(fast.0, expected.0) < 1e-6);
}

/// The update of `AdamW` in Hugging Face's transformers up to version 4, in f64.
fn transformers_adamw(values: &mut [[f64; 3]], grads: &[f64], step: &AdamWStep) {
    let (beta1, beta2) = (f64::from(step.beta1), f64::from(step.beta2));
    let decay = step.learning_rate * f64::from(step.weight_decay);
    let corrections = [beta1, beta2].map(|beta| 1.0 - beta.powi(step.step_number));
    let step_size = step.learning_rate * corrections[1].sqrt() / corrections[0];
    for ([parameter, first, second], grad) in values.iter_mut().zip(grads) {
        *first = *first * beta1 + (1.0 - beta1) * grad;
        *second = *second * beta2 + (1.0 - beta2) * grad * grad;
        *parameter -= step_size * *first / (second.sqrt() + f64::from(step.epsilon));
        *parameter -= decay * *parameter;
    }
}

#[test]
fn adamw_has_the_rule_of_transformers() {
    let device = Device::flex();
    for is_fast in [true, false] {
        vlp_ops::use_fast_paths(is_fast);
        let start = vlp_testing::random([37, 5], 1, &device);
        let mut expected: Vec<[f64; 3]> = (vlp_testing::to_cpu(start.clone()).into_iter())
            .map(|value| [value, 0.0, 0.0])
            .collect();
        let (mut parameter, mut moments) = (start, None);
        for step_number in 1..=20 {
            // An epsilon of the size of the gradients, and a decay of a tenth: the order matters.
            let grad = vlp_testing::random([37, 5], 1 + step_number as u64, &device);
            let grad = grad.mul_scalar(1e-3);
            let step = AdamWStep {
                learning_rate: 0.1,
                weight_decay: 1.0,
                epsilon: 1e-4,
                epsilon_before_correction: true,
                decay_after_update: true,
                step_number,
                ..Default::default()
            };
            let grads = vlp_testing::to_cpu(grad.clone());
            transformers_adamw(&mut expected, &grads, &step);
            let (updated, first, second) = vlp_ops::adamw(parameter, grad, moments, step);
            (parameter, moments) = (updated, Some((first, second)));
        }
        for (value, [expected, ..]) in vlp_testing::to_cpu(parameter).iter().zip(&expected) {
            // Twenty updates of up to 0.1, each rounded a few times.
            let difference = (value - expected).abs();
            assert!(difference < 1e-5, "{value}, expected {expected}");
        }
    }
    vlp_ops::use_fast_paths(true);
}

#[test]
fn adamw_does_not_change_a_shared_tensor() {
    let device = Device::flex();
    let start = vlp_testing::random([4, 4], 1, &device);
    let before = vlp_testing::to_cpu(start.clone());
    let grad = vlp_testing::random([4, 4], 2, &device);
    let step = AdamWStep {
        learning_rate: 1e-2,
        weight_decay: 0.0,
        ..Default::default()
    };
    let (after, _, _) = vlp_ops::adamw(start.clone(), grad, None, step);
    assert_eq!(vlp_testing::to_cpu(start), before);
    assert_ne!(vlp_testing::to_cpu(after), before);
}

#[test]
fn adamw_updates_parameters_of_every_type() {
    let device = Device::flex();
    let updated = |dtype: DType, bf16_moments: bool| {
        let random = |seed| vlp_testing::random([37, 5], seed, &device).cast(dtype);
        let (mut parameter, mut moments) = (random(1), None);
        // The last update does not take place.
        for (step_number, norm) in [(1, 0.5), (2, 0.5), (3, f32::NAN)] {
            let step = AdamWStep {
                learning_rate: 1e-2,
                step_number,
                bf16_moments,
                ..Default::default()
            };
            let grad = random(1 + step_number as u64);
            let update = AdamWUpdate::new(parameter, grad, moments, step);
            let norm = Tensor::<1>::from_floats([norm], &device).cast(dtype);
            let control = UpdateControl::new(norm, 0.25);
            let [new, first, second] = adamw_all(vec![update], &control).remove(0);
            let stored = if bf16_moments { DType::BF16 } else { dtype };
            for moment in [&first, &second] {
                assert_eq!(moment.signature().0, stored);
            }
            parameter = new.into_tensor();
            moments = Some((first.into_tensor(), second.into_tensor()));
        }
        assert_eq!(parameter.dtype(), dtype);
        parameter.cast(DType::F32)
    };
    for bf16_moments in [false, true] {
        // Moments of 8 bits change an update of 1e-2 by a part of it; parameters of 8 bits and up to 4 are rounded by 1/64.
        let tolerance = if bf16_moments { 1e-3 } else { 1e-6 };
        for (dtype, tolerance) in [(DType::F64, tolerance), (DType::BF16, 0.1)] {
            let expected = updated(DType::F32, bf16_moments);
            let difference = vlp_testing::max_abs_diff(updated(dtype, bf16_moments), expected);
            assert!(difference < tolerance, "{dtype:?}: {difference}");
        }
    }
}

#[test]
fn sgd_agrees_with_burn() {
    use burn::optim::momentum::MomentumConfig;
    use burn::optim::{Optimizer, SgdConfig};
    let device = Device::flex();
    let tensor = |seed| -> Tensor<2> {
        let values: Vec<f32> = vlp_testing::noise(12, seed)
            .iter()
            .map(|v| *v as f32)
            .collect();
        Tensor::<1>::from_floats(values.as_slice(), &device).reshape([3, 4])
    };
    for (momentum, decay) in [(0.9, 0.01), (0.9, 0.0), (0.0, 0.01)] {
        let momentum_config = MomentumConfig::new()
            .with_momentum(momentum)
            .with_dampening(0.0);
        let burn_optimizer = SgdConfig::new()
            .with_momentum((momentum > 0.0).then_some(momentum_config))
            .with_weight_decay(Some(burn::optim::decay::WeightDecayConfig::new(decay)))
            .build();
        let step = vlp_ops::SgdStep {
            grad_scale: 0.5,
            learning_rate: 0.1,
            weight_decay: decay,
            momentum: momentum as f32,
        };
        let (mut fast, mut velocity) = (tensor(1), None);
        let (mut expected, mut state) = (tensor(1), None);
        for step_index in 0..3 {
            let grad = tensor(2 + step_index);
            let (parameter, new_velocity) = vlp_ops::sgd(fast, grad.clone(), velocity, step);
            (fast, velocity) = (parameter, Some(new_velocity).filter(|_| momentum > 0.0));
            let scaled = grad.mul_scalar(0.5);
            (expected, state) = burn_optimizer.step(0.1, expected, scaled, state);
            let (a, b) = (
                vlp_testing::to_cpu(fast.clone()),
                vlp_testing::to_cpu(expected.clone()),
            );
            for (a, b) in a.iter().zip(&b) {
                // A rounding or two of values below 2 each step.
                assert!(
                    (a - b).abs() < 1e-6,
                    "{momentum} {decay} {step_index}: {a}, expected {b}"
                );
            }
        }
    }
}

#[test]
fn sum_of_squares_agrees_with_f64() {
    // With autodiff tensors are concatenated, as on a GPU: sixteen at a time; the last two are too large for one.
    for device in [Device::flex(), Device::flex().autodiff()] {
        let (mut tensors, mut exact) = (vec![], 0f64);
        for size in (1..=20).chain([40_000, 100_003, 3_000_000, 3_000_000]) {
            let x: Tensor<1> = vlp_testing::random([size], size as u64, &device);
            let squares = vlp_testing::to_cpu(x.clone()).into_iter().map(|v| v * v);
            exact += squares.sum::<f64>();
            tensors.push(x);
            let sum = vlp_ops::sum_of_squares(tensors.clone()).expect("a sum");
            let sum = vlp_testing::to_cpu(sum)[0];
            // Sixteen lanes of 2,048 squares each; burn's own sum in lanes of the same order.
            assert!(
                (sum - exact).abs() <= 1e-5 * exact,
                "{sum}, expected {exact}"
            );
        }
    }
    assert!(vlp_ops::sum_of_squares::<Tensor<1>>([]).is_none());
}
