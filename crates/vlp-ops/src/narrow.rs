//! Values kept in bf16: half the memory, rounded up or down by chance in proportion, so that changes far below the last
//! bit add up (stochastic rounding; Zamirai et al. 2020, "Revisiting BFloat16 Training").

use burn::prelude::*;
use burn::tensor::{DType, Distribution};

/// `x` in bf16, rounded by chance from the device's random stream.
pub(crate) fn narrow<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // Distance of two bf16 around `x`: 2^(exponent - 7); 0 at 0.
    let ln2 = std::f64::consts::LN_2;
    let exponent = x.clone().abs().log().div_scalar(ln2).floor();
    let step = exponent.sub_scalar(7.0).mul_scalar(ln2).exp();
    let chance = Tensor::random(x.dims(), Distribution::Uniform(-0.5, 0.5), &x.device());
    (x + step * chance).cast(DType::BF16)
}

/// The type that moments are kept in.
pub(crate) fn kept(bf16: bool) -> DType {
    if bf16 { DType::BF16 } else { DType::F32 }
}

#[cfg(feature = "flex")]
pub(crate) use fast::Stored;

#[cfg(feature = "flex")]
mod fast {
    use burn::tensor::bf16;

    /// A moment as it lies in memory.
    pub(crate) trait Stored: Copy + Send {
        fn get(self) -> f32;
        /// `chance` in its low 16 bits decides between the two nearest.
        fn put(value: f32, chance: u32) -> Self;
    }

    impl Stored for f32 {
        #[inline(always)]
        fn get(self) -> f32 {
            self
        }

        #[inline(always)]
        fn put(value: f32, _: u32) -> Self {
            value
        }
    }

    impl Stored for bf16 {
        #[inline(always)]
        fn get(self) -> f32 {
            f32::from_bits(u32::from(self.to_bits()) << 16)
        }

        #[inline(always)]
        fn put(value: f32, chance: u32) -> Self {
            // What is cut off carries over as often as it is large; infinities and NaN keep their upper bits.
            let bits = value.to_bits().wrapping_add(chance & 0xffff);
            Self::from_bits((bits >> 16) as u16)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_by_chance_keeps_the_mean() {
        // A third of the way between two bf16, for several exponents and signs.
        for base in [1.0f32, -3.0, 1e-20, 0.15] {
            let low = burn::tensor::bf16::from_f32(base);
            let next = burn::tensor::bf16::from_bits(low.to_bits() + 1);
            let value = low.to_f32() + (next.to_f32() - low.to_f32()) / 3.0;
            let device = Device::flex();
            let many = narrow(Tensor::<1>::full([30_000], value, &device));
            let values: Vec<f32> = many.cast(DType::F32).into_data().iter().collect();
            let known = [low.to_f32(), next.to_f32()];
            assert!(values.iter().all(|v| known.contains(v)), "{base}");
            let up = values.iter().filter(|v| **v == known[1]).count() as f64;
            // Three standard deviations of 30,000 draws are 0.008.
            assert!((up / 30_000.0 - 1.0 / 3.0).abs() < 0.01, "{base}: {up}");
            #[cfg(feature = "flex")]
            {
                let up = (0..1u32 << 16)
                    .filter(|chance| <burn::tensor::bf16 as Stored>::put(value, *chance) == next)
                    .count();
                assert!(
                    (up as f64 / 65536.0 - 1.0 / 3.0).abs() < 1e-4,
                    "{base}: {up}"
                );
            }
        }
        let zero = narrow(Tensor::<1>::zeros([3], &Device::flex()));
        let values: Vec<f32> = zero.cast(DType::F32).into_data().iter().collect();
        assert_eq!(values, [0.0; 3]);
    }
}
