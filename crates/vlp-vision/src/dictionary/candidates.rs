//! Features that may replace dead codes.

use burn::prelude::*;
use vlp_ops::{constant_ints, split_mix};

/// Distance of the candidates of two updates: a prime, so that a code has every feature in turn.
const STRIDE: i32 = 7919;

/// A random feature for each code, in case it is dead.
pub(super) struct Candidates {
    /// `[codes, width]`.
    pub(super) features: Tensor<2>,
    /// Whether a code has a candidate, `[codes]`: a dead code whose feature is padding is restarted at a later update.
    pub(super) is_valid: Tensor<1, Bool>,
}

impl Candidates {
    /// A pure function of (update, code), so that a resumed run chooses the same features. The number of `updates`, `[1]`,
    /// stays on the device.
    pub(super) fn new(
        features: &Tensor<2>,
        weights: &Tensor<1>,
        codes: usize,
        updates: &Tensor<1>,
    ) -> Self {
        let indices = indices(features.dims()[0], codes, updates);
        Self {
            is_valid: weights.clone().select(0, indices.clone()).greater_elem(0.0),
            features: features.clone().select(0, indices),
        }
    }
}

/// `(hash of the code + updates * stride) mod count`, `[codes]`, in 32 bits without overflow.
fn indices(count: usize, codes: usize, updates: &Tensor<1>) -> Tensor<1, Int> {
    let hash = |code: usize| (split_mix(0, code as u64) % count as u64) as i32;
    let offsets: Vec<i32> = (0..codes).map(hash).collect();
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let stride = STRIDE.min(i32::MAX / count - 1);
    let shift = updates.clone().int().remainder_scalar(count);
    let offsets = constant_ints(&offsets, &updates.device());
    (offsets + shift.mul_scalar(stride)).remainder_scalar(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_those_of_exact_arithmetic() {
        let device = Device::flex();
        // The last count takes a smaller stride.
        for count in [1, 2, 7, 256, 7919, 50_000, 3_000_000] {
            let stride = i64::from(STRIDE).min(i64::from(i32::MAX) / count - 1);
            for updates in [0, 1, 2, 999, 123_456, 1 << 24] {
                let tensor = Tensor::from_floats([updates as f32], &device);
                let indices = indices(count as usize, 20, &tensor).into_data();
                let indices: Vec<i64> = indices.iter().collect();
                let expected = (0..20).map(|code| {
                    let hash = (split_mix(0, code) % count as u64) as i64;
                    (hash + updates * stride) % count
                });
                assert_eq!(indices, expected.collect::<Vec<_>>(), "{count} {updates}");
            }
        }
    }
}
