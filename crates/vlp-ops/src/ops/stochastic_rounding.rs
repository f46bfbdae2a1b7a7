//! Optimizer moments stored in bf16: half the memory. Values are rounded up or down at random, with probabilities
//! that make the rounding unbiased, so that changes far below the last bit add up (stochastic rounding; Zamirai et al. 2020,
//! "Revisiting BFloat16 Training").

use burn::prelude::*;
use burn::tensor::{DType, Distribution};

/// `x` in bf16, rounded stochastically from the device's random stream.
pub(crate) fn round_to_bf16<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // Distance of the two bf16 values around `x`: 2^(exponent - 7); 0 at 0.
    let ln2 = std::f64::consts::LN_2;
    let exponent = x.clone().abs().log().div_scalar(ln2).floor();
    let step = exponent.sub_scalar(7.0).mul_scalar(ln2).exp();
    let uniform = Distribution::Uniform(-0.5, 0.5);
    let uniform = Tensor::random(x.dims(), uniform, (&x.device(), x.dtype()));
    (x + step * uniform).cast(DType::BF16)
}

/// The type that moments are stored in, for gradients of this type.
pub(crate) fn moment_dtype(bf16: bool, grad: DType) -> DType {
    if bf16 { DType::BF16 } else { grad }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stochastic_rounding_keeps_the_mean() {
        // A third of the way between two bf16 values, for several exponents and signs.
        for base in [1.0f32, -3.0, 1e-20, 0.15] {
            let low = burn::tensor::bf16::from_f32(base);
            let high = burn::tensor::bf16::from_bits(low.to_bits() + 1);
            let value = low.to_f32() + (high.to_f32() - low.to_f32()) / 3.0;
            let device = Device::flex();
            let rounded = round_to_bf16(Tensor::<1>::full([30_000], value, &device));
            let rounded: Vec<f32> = rounded.cast(DType::F32).into_data().iter().collect();
            let neighbors = [low.to_f32(), high.to_f32()];
            assert!(rounded.iter().all(|v| neighbors.contains(v)), "{base}");
            let up = rounded.iter().filter(|v| **v == neighbors[1]).count() as f64;
            // Three standard deviations of 30,000 samples are 0.008.
            assert!((up / 30_000.0 - 1.0 / 3.0).abs() < 0.01, "{base}: {up}");
            cpu_path! {
                use crate::cpu::optimizer::Moment;
                let up = (0..1u32 << 16)
                    .filter(|random| <burn::tensor::bf16 as Moment>::round(value, *random) == high)
                    .count();
                let fraction = up as f64 / 65536.0;
                assert!((fraction - 1.0 / 3.0).abs() < 1e-4, "{base}: {up}");
            }
        }
        let zero = round_to_bf16(Tensor::<1>::zeros([3], &Device::flex()));
        let values: Vec<f32> = zero.cast(DType::F32).into_data().iter().collect();
        assert_eq!(values, [0.0; 3]);
    }
}
