//! One operation three ways: fast in f32, burn's own in f64, and by finite differences.
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
use vlp_testing::{to_cpu, noise};

/// Values `f` gets, as flat tensors of these sizes, and what it makes of them.
pub struct Case<'a> {
    pub name: String,
    pub sizes: Vec<usize>,
    pub f: &'a (dyn Fn(&[Tensor<1>]) -> Tensor<1> + Sync),
}

fn tensors(values: &[Vec<f32>], device: &Device, dtype: DType) -> Vec<Tensor<1>> {
    values
        .iter()
        .map(|v| Tensor::from_data(TensorData::new(v.clone(), [v.len()]), (device, dtype)))
        .collect()
}

/// As they are, or with no more bits than bf16 has.
fn cut(values: Vec<f64>, coarse: bool) -> Vec<f32> {
    let bits = |value: f32| f32::from_bits(value.to_bits() & 0xffff_0000);
    let values = values.into_iter().map(|value| value as f32);
    values.map(|v| if coarse { bits(v) } else { v }).collect()
}

/// Outputs and all gradients of `sum(f(x) * c)`, `c` coarse or not.
fn run(case: &Case, values: &[Vec<f32>], dtype: DType, coarse: bool) -> (Vec<f64>, Vec<Vec<f64>>) {
    let device = Device::flex().autodiff();
    let inputs: Vec<_> = tensors(values, &device, dtype)
        .into_iter()
        .map(|t| t.require_grad())
        .collect();
    let y = (case.f)(&inputs);
    assert_eq!(y.dtype(), dtype);
    let grads = (y.clone() * weights(&y, coarse)).sum().backward();
    let grads = inputs
        .iter()
        .map(|t| to_cpu(t.grad(&grads).expect("a gradient")))
        .collect();
    (to_cpu(y), grads)
}

/// What outputs are weighted with.
fn weights(y: &Tensor<1>, coarse: bool) -> Tensor<1> {
    let values = cut(noise(y.dims()[0], 77), coarse);
    Tensor::from_data(TensorData::new(values, y.dims()), (&y.device(), y.dtype()))
}

/// Values within `tolerance` of the largest one.
pub fn close(name: &str, what: &str, fast: &[f64], own: &[f64], tolerance: f64) {
    assert_eq!(fast.len(), own.len(), "{name}: {what}");
    // Sums cancel: what rounding costs goes with the largest value (or the inputs, of about 1), not with each.
    let scale = own.iter().fold(1f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in fast.iter().zip(own).enumerate() {
        let distance = (a - b).abs();
        assert!(
            distance <= tolerance * scale,
            "{name}: {what} {i}: {a} against {b} (scale {scale})"
        );
    }
}

fn drawn(case: &Case, seed: u64, coarse: bool) -> Vec<Vec<f32>> {
    let double = |size: usize, seed| noise(size, seed).iter().map(|v| 2.0 * v).collect();
    let sizes = (seed..).zip(&case.sizes);
    sizes
        .map(|(seed, size)| cut(double(*size, seed), coarse))
        .collect()
}

/// The fast path in f32 against burn's operation in f64, outputs and gradients, which are returned.
fn compare(case: &Case, values: &[Vec<f32>], tolerance: f64, coarse: bool) -> Vec<Vec<f64>> {
    let (fast, fast_grads) = run(case, values, DType::F32, coarse);
    let (own, own_grads) = run(case, values, DType::F64, coarse);
    close(&case.name, "output", &fast, &own, tolerance);
    for (i, (a, b)) in fast_grads.iter().zip(&own_grads).enumerate() {
        close(&case.name, &format!("gradient {i}, value"), a, b, tolerance);
    }
    fast_grads
}

/// As [`agree`], with values that bf16 holds whole and without the slope: products in bf16 are then exact.
pub fn agree_on_coarse(case: &Case, tolerance: f64) {
    compare(case, &drawn(case, 11, true), tolerance, true);
}

/// The fast path in f32 against burn's operation in f64, outputs and gradients, within `tolerance` of the largest
/// value; then the gradient against the slope of burn's operation along a random direction.
pub fn agree(case: &Case, tolerance: f64) {
    let values = drawn(case, 11, false);
    let fast_grads = compare(case, &values, tolerance, false);

    let steps: Vec<Vec<f64>> = (0u64..)
        .zip(&case.sizes)
        .map(|(i, size)| noise(*size, 31 + i))
        .collect();
    let at = |scale: f64| -> f64 {
        let device = Device::flex();
        let moved: Vec<Tensor<1>> = values
            .iter()
            .zip(&steps)
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
        to_cpu((y.clone() * weights(&y, false)).sum())[0]
    };
    let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let slope: f64 = fast_grads.iter().zip(&steps).map(|(g, s)| dot(g, s)).sum();
    let size: f64 = fast_grads
        .iter()
        .zip(&steps)
        .map(|(g, s)| dot(g, g).sqrt() * dot(s, s).sqrt())
        .sum();
    // Rounding of the f32 gradient and of the difference (1e-16 / 1e-6 of the loss).
    assert!(
        (difference - slope).abs() <= 2.0 * tolerance * size.max(1.0) + 1e-6,
        "{}: slope {slope}, difference {difference}",
        case.name
    );
}

/// Outputs and gradients are the same bits on one thread and on three.
pub fn threads_do_not_matter(case: &Case) {
    let values: Vec<Vec<f32>> = (0u64..)
        .zip(&case.sizes)
        .map(|(i, size)| noise(*size, 51 + i).iter().map(|v| *v as f32).collect())
        .collect();
    let results = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| run(case, &values, DType::F32, false))
    });
    assert!(
        results[0] == results[1],
        "{}: results depend on the threads",
        case.name
    );
}
