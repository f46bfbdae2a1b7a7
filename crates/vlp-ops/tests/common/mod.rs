//! Compares an operation of this crate in f32 with burn's own in f64 and with finite differences.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code
)]

pub mod cases;

use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use vlp_testing::{noise, to_cpu};

/// A function of flat tensors of these lengths.
pub struct Case<'a> {
    pub name: String,
    pub lengths: Vec<usize>,
    pub f: &'a (dyn Fn(&[Tensor<1>]) -> Tensor<1> + Sync),
}

fn tensors(values: &[Vec<f32>], device: &Device, dtype: DType) -> Vec<Tensor<1>> {
    values
        .iter()
        .map(|v| Tensor::from_data(TensorData::new(v.clone(), [v.len()]), (device, dtype)))
        .collect()
}

/// Inputs that bf16 represents exactly, or any f32 values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    F32,
    Bf16,
}

impl Values {
    fn round(self, values: Vec<f64>) -> Vec<f32> {
        let truncate = |value: f32| match self {
            Self::F32 => value,
            Self::Bf16 => f32::from_bits(value.to_bits() & 0xffff_0000),
        };
        values.into_iter().map(|v| truncate(v as f32)).collect()
    }
}

/// Outputs, and the gradients of `sum(f(x) * weights)`.
fn run(
    case: &Case,
    inputs: &[Vec<f32>],
    dtype: DType,
    values: Values,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let device = Device::flex().autodiff();
    let inputs: Vec<_> = tensors(inputs, &device, dtype)
        .into_iter()
        .map(|t| t.require_grad())
        .collect();
    let y = (case.f)(&inputs);
    assert_eq!(y.dtype(), dtype);
    let grads = (y.clone() * weights(&y, values)).sum().backward();
    let grads = inputs
        .iter()
        .map(|t| to_cpu(t.grad(&grads).expect("a gradient")))
        .collect();
    (to_cpu(y), grads)
}

/// Weights of the outputs in the loss.
fn weights(y: &Tensor<1>, values: Values) -> Tensor<1> {
    let values = values.round(noise(y.dims()[0], 77));
    Tensor::from_data(TensorData::new(values, y.dims()), (&y.device(), y.dtype()))
}

/// Asserts that all values are equal within `tolerance` times the largest one.
pub fn assert_close(name: &str, what: &str, actual: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{name}: {what}");
    // Terms cancel in sums, so the rounding error is in proportion to the largest value (or the inputs, of about 1).
    let scale = expected.iter().fold(1f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in actual.iter().zip(expected).enumerate() {
        let distance = (a - b).abs();
        assert!(
            distance <= tolerance * scale,
            "{name}: {what} {i}: {a}, expected {b} (scale {scale})"
        );
    }
}

fn random_inputs(case: &Case, seed: u64, values: Values) -> Vec<Vec<f32>> {
    let double = |length: usize, seed| noise(length, seed).iter().map(|v| 2.0 * v).collect();
    let lengths = (seed..).zip(&case.lengths);
    lengths
        .map(|(seed, length)| values.round(double(*length, seed)))
        .collect()
}

/// Compares outputs and gradients of the fast path in f32 with burn's operation in f64; returns the gradients.
fn compare_with_f64(
    case: &Case,
    inputs: &[Vec<f32>],
    tolerance: f64,
    values: Values,
) -> Vec<Vec<f64>> {
    let (output, grads) = run(case, inputs, DType::F32, values);
    let (expected_output, expected_grads) = run(case, inputs, DType::F64, values);
    assert_close(&case.name, "output", &output, &expected_output, tolerance);
    for (i, (a, b)) in grads.iter().zip(&expected_grads).enumerate() {
        assert_close(&case.name, &format!("gradient {i}, value"), a, b, tolerance);
    }
    grads
}

/// [`check`] without finite differences, for inputs that bf16 represents exactly: their products in bf16 are exact.
pub fn check_bf16_values(case: &Case, tolerance: f64) {
    let inputs = random_inputs(case, 11, Values::Bf16);
    compare_with_f64(case, &inputs, tolerance, Values::Bf16);
}

/// Compares outputs and gradients of the fast path in f32 with burn's operation in f64, within `tolerance` times the largest
/// value; then the gradient with a finite difference of burn's operation along a random direction.
pub fn check(case: &Case, tolerance: f64) {
    let inputs = random_inputs(case, 11, Values::F32);
    let grads = compare_with_f64(case, &inputs, tolerance, Values::F32);

    let direction: Vec<Vec<f64>> = (0u64..)
        .zip(&case.lengths)
        .map(|(i, length)| noise(*length, 31 + i))
        .collect();
    let loss_at = |scale: f64| -> f64 {
        let device = Device::flex();
        let moved: Vec<Tensor<1>> = inputs
            .iter()
            .zip(&direction)
            .map(|(v, s)| {
                let moved: Vec<f64> = v
                    .iter()
                    .zip(s)
                    .map(|(v, s)| f64::from(*v) + scale * s)
                    .collect();
                Tensor::from_data(TensorData::new(moved, [v.len()]), (&device, DType::F64))
            })
            .collect();
        let y = (case.f)(&moved);
        to_cpu((y.clone() * weights(&y, Values::F32)).sum())[0]
    };
    let numeric_grad = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6;
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let grad: f64 = grads.iter().zip(&direction).map(|(g, s)| dot(g, s)).sum();
    let scale: f64 = grads
        .iter()
        .zip(&direction)
        .map(|(g, s)| dot(g, g).sqrt() * dot(s, s).sqrt())
        .sum();
    // Rounding of the f32 gradient and of the difference (1e-16 / 1e-6 of the loss).
    assert!(
        (numeric_grad - grad).abs() <= 2.0 * tolerance * scale.max(1.0) + 1e-6,
        "{}: gradient {grad}, finite difference {numeric_grad}",
        case.name
    );
}

/// Asserts that outputs and gradients have the same bits on one thread and on three.
pub fn check_threads(case: &Case) {
    let inputs: Vec<Vec<f32>> = (0u64..)
        .zip(&case.lengths)
        .map(|(i, length)| Values::F32.round(noise(*length, 51 + i)))
        .collect();
    let results = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| run(case, &inputs, DType::F32, Values::F32))
    });
    assert!(
        results[0] == results[1],
        "{}: results depend on the number of threads",
        case.name
    );
}

/// Says that a test is skipped for lack of instructions; fails instead where `VLP_REQUIRE_SIMD=1`.
pub fn skip(reason: &str) {
    let required = std::env::var_os("VLP_REQUIRE_SIMD").is_some_and(|value| value == "1");
    assert!(!required, "SKIPPED: {reason}");
    eprintln!("SKIPPED: {reason}");
}
