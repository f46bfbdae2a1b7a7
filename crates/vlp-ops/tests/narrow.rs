//! Moments kept in bf16. Alone in its process: the fast paths are switched for all threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::prelude::*;
use vlp_ops::AdamWStep;

#[test]
fn narrow_moments_follow_wide_ones() {
    use burn::tensor::DType;
    let device = Device::flex();
    let last = |bf16: bool, fast: bool| {
        vlp_ops::use_fast_paths(fast);
        device.seed(3);
        let mut parameter = vlp_testing::random([60, 50], 1, &device).cast(DType::F32);
        let mut moments = None;
        // Small changes of the second moment, 0.001 of it an update, are below a bf16's last bit.
        for time in 1..=400 {
            let size = if time < 200 { 1.0 } else { 0.5 };
            let grad = vlp_testing::random([60, 50], 1 + time as u64, &device);
            let step = AdamWStep {
                weight_decay: 0.0,
                step_number: time,
                bf16_moments: bf16,
                ..Default::default()
            };
            let (p, m, v) = vlp_ops::adamw(parameter, grad.mul_scalar(size), moments, step);
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
    let (wanted, square) = last(false, true);
    for fast in [true, false] {
        let (found, own) = last(true, fast);
        // Rounding by chance does not move the mean; to the nearest it would stop at the first value near 2.
        assert!(
            (own / square - 1.0).abs() < 2e-3,
            "{fast}: {own} and {square}"
        );
        let distance = wanted
            .iter()
            .zip(&found)
            .map(|(a, b)| (a - b).powi(2))
            .sum::<f64>();
        let way = (distance / wanted.len() as f64).sqrt();
        // Random steps of 1e-3, 400 of them, lead about 0.01 away; eight bits disturb it by parts of it.
        assert!(way < 1e-3, "{fast}: {way}");
    }
    assert!(
        last(true, true) == last(true, true),
        "chance is a function of the update"
    );
}
