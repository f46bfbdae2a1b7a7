#![doc = include_str!("../README.md")]

mod numeric_grad;
mod random_weights;

pub use numeric_grad::{DirectionalGrad, numeric_grad};
pub use random_weights::randomize_weights;

use burn::prelude::*;
use burn::tensor::TensorData;

/// `count` pseudo-random values in `-1..1`, a function of `seed` (SplitMix64).
pub fn noise(count: usize, seed: u64) -> Vec<f64> {
    (0..count as u64)
        .map(|i| {
            let mut z = (i + 1 + (seed << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

/// A tensor of [`noise`].
pub fn random<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let values = noise(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The tensor's values in row-major order.
pub fn to_cpu<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

/// Largest absolute difference of two tensors of one shape; NaN if either contains NaN.
///
/// # Panics
/// If the shapes differ.
pub fn max_abs_diff<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let differences = to_cpu(a).into_iter().zip(to_cpu(b));
    let differences = differences.map(|(a, b)| (a - b).abs());
    // `f64::max` would ignore NaN.
    differences.fold(0.0, |max: f64, difference| {
        if max.is_nan() || difference <= max {
            max
        } else {
            difference
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_is_nan_if_any_value_is() {
        let tensor = |values: [f32; 3]| Tensor::<1>::from_data(values, &Device::flex());
        let zeros = || tensor([0.0; 3]);
        assert_eq!(max_abs_diff(tensor([1.0, -3.0, 2.0]), zeros()), 3.0);
        for index in 0..3 {
            let mut values = [1.0; 3];
            values[index] = f32::NAN;
            assert!(max_abs_diff(tensor(values), zeros()).is_nan(), "{index}");
        }
    }
}
