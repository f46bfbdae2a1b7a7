//! The precision of the CPU fast paths' matrix multiplications.

use std::sync::atomic::{AtomicBool, Ordering};

static BF16: AtomicBool = AtomicBool::new(false);

/// Precision of the matmuls and convolutions of the CPU fast paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatmulPrecision {
    /// Operands and sums in f32.
    #[default]
    F32,
    /// Operands rounded to bf16 (8 bits of significand) as they are read; sums, and everything else, in f32.
    Bf16,
}

/// Sets the precision of the CPU fast paths' matrix multiplications and convolutions for the whole process. The default
/// is [`MatmulPrecision::F32`]. Matmuls inside burn and the nearest-code search stay in f32; without AMX, so do weight
/// gradients of convolutions.
///
/// The counterpart in PyTorch is `torch.set_float32_matmul_precision("medium")` together with
/// `torch.backends.mkldnn.conv.fp32_precision = "bf16"`.
///
/// Returns whether the precision is supported. bf16 needs the feature `flex`, x86-64 with AVX-512 BF16 (Zen 4, Cooper Lake,
/// Sapphire Rapids), and [`simd_level`](crate::simd_level) not lowered; otherwise f32 stays in use. AMX is used where
/// present (Sapphire Rapids and later, on Linux). bf16 is faster than f32 on AMD processors and with AMX; on other Intel
/// processors it is not.
#[must_use = "false means that the processor does not support the precision"]
pub fn set_matmul_precision(precision: MatmulPrecision) -> bool {
    let bf16 = precision == MatmulPrecision::Bf16;
    let supported = !bf16 || has_bf16();
    BF16.store(bf16 && supported, Ordering::Relaxed);
    supported
}

/// The precision in use.
#[cfg(feature = "flex")]
pub(crate) fn matmul_precision() -> MatmulPrecision {
    match bf16_matmul() {
        true => MatmulPrecision::Bf16,
        false => MatmulPrecision::F32,
    }
}

/// Whether matrices are multiplied in bf16 now.
#[cfg(feature = "flex")]
pub(crate) fn bf16_matmul() -> bool {
    BF16.load(Ordering::Relaxed)
}

/// Whether `cpu::bf16::x86` can run. Its functions are compiled for these features.
pub(crate) fn has_bf16() -> bool {
    #[cfg(all(feature = "flex", target_arch = "x86_64"))]
    return crate::simd_level() == crate::SimdLevel::Avx512
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(all(feature = "flex", target_arch = "x86_64")))]
    false
}
