//! Optimizer moments stored in bf16. A test binary of its own: it switches the fast paths of the whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::prelude::*;
use vlp_ops::AdamWStep;

#[test]
fn training_with_bf16_moments_stays_close_to_f32() {
    use burn::tensor::DType;
    let device = Device::flex();
    let train = |bf16: bool, fast: bool| {
        vlp_ops::use_fast_paths(fast);
        device.seed(3);
        let mut parameter = vlp_testing::random([60, 50], 1, &device).cast(DType::F32);
        let mut moments = None;
        // An update changes the second moment by a thousandth, which is less than the last bit of bf16.
        for step_number in 1..=400 {
            let scale = if step_number < 200 { 1.0 } else { 0.5 };
            let grad = vlp_testing::random([60, 50], 1 + step_number as u64, &device);
            let step = AdamWStep {
                weight_decay: 0.0,
                step_number,
                bf16_moments: bf16,
                ..Default::default()
            };
            let (p, m, v) = vlp_ops::adamw(parameter, grad.mul_scalar(scale), moments, step);
            (parameter, moments) = (p, Some((m, v)));
        }
        vlp_ops::use_fast_paths(true);
        let (_, second) = moments.unwrap();
        assert_eq!(second.dtype(), if bf16 { DType::BF16 } else { DType::F32 });
        let second = second.cast(DType::F32);
        (
            vlp_testing::to_cpu(parameter),
            vlp_testing::to_cpu(second.mean())[0],
        )
    };
    let (expected, expected_square) = train(false, true);
    for fast in [true, false] {
        let (parameter, square) = train(true, fast);
        // Stochastic rounding keeps the mean; rounding to nearest would stop at the first value near 2.
        assert!(
            (square / expected_square - 1.0).abs() < 2e-3,
            "{fast}: {square}, expected {expected_square}"
        );
        let squares = expected
            .iter()
            .zip(&parameter)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>();
        let distance = (squares / expected.len() as f64).sqrt();
        // 400 random steps of 1e-3 move a parameter by about 0.01; the rounding changes that by a small part.
        assert!(distance < 1e-3, "{fast}: {distance}");
    }
    assert!(
        train(true, true) == train(true, true),
        "rounding is a function of the update"
    );
}
