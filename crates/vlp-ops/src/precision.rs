//! The precision of matrix multiplications and convolutions.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use burn::prelude::*;
use burn::tensor::DType;

static CPU_BF16: AtomicBool = AtomicBool::new(false);
static GPU: AtomicU8 = AtomicU8::new(GpuMatmul::Burn as u8);

/// Precision of matrix multiplications and convolutions. Weights, sums, gradients of weights, moments and every other operation
/// are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatmulPrecision {
    /// Operands in f32. GPUs with TF32 then multiply matrices without tensor cores; their convolutions use TF32 all the same,
    /// because burn has no switch for it (0.22).
    #[default]
    F32,
    /// Operands rounded to TF32 (11 bits of significand) where the device has it; f32 elsewhere.
    Tf32,
    /// Operands rounded to bf16 (8 bits of significand) as they are read. On a GPU convolutions and the activations that
    /// [`to_activation_precision`](crate::to_activation_precision()) gives have results in bf16 too.
    Bf16,
}

/// How GPUs multiply matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "gpu"), allow(dead_code))]
pub(crate) enum GpuMatmul {
    /// As burn does: in f32, or nobody has chosen.
    Burn,
    /// As burn does: in TF32.
    Tf32,
    /// In f32, by kernels that burn would not choose.
    F32,
    /// In bf16.
    Bf16,
    /// In f16, for tests of a GPU without bf16.
    F16,
}

/// Sets the precision of matrix multiplications and convolutions for the whole process: on the CPU if `device` is the CPU,
/// otherwise on GPUs like `device`. The default is [`MatmulPrecision::F32`] on the CPU, and burn's choice on a GPU, which is
/// TF32 where there is any.
///
/// Of the CPU's operations those with a fast path follow it. Searches for the nearest code are f32 always; without AMX, so are
/// weight gradients of the CPU's convolutions. GPUs' attention kernels (heads up to 128 wide) compute in f32; with
/// [`Bf16`](MatmulPrecision::Bf16) they round query, key, value and output.
///
/// The counterpart in PyTorch is `torch.set_float32_matmul_precision` with `"highest"`, `"high"` and `"medium"`, together with
/// `torch.backends.mkldnn.conv.fp32_precision` on the CPU.
///
/// Returns whether the device supports the precision; if it does not, nothing changes. On the CPU bf16 needs the feature
/// `flex`, x86-64 with AVX-512 BF16 (Zen 4, Cooper Lake, Sapphire Rapids), and [`simd_level`](crate::simd_level) not lowered.
/// AMX is used where present (Sapphire Rapids and later, on Linux). bf16 is faster than f32 on AMD processors and with AMX; on
/// other Intel processors it is not.
#[must_use = "false means that the device does not support the precision"]
pub fn set_matmul_precision(precision: MatmulPrecision, device: &Device) -> bool {
    let is_bf16 = precision == MatmulPrecision::Bf16;
    if crate::is_cpu(device) {
        let is_supported = !is_bf16 || has_bf16();
        if is_supported {
            CPU_BF16.store(is_bf16, Ordering::Relaxed);
        }
        return is_supported;
    }
    let matmul = match precision {
        MatmulPrecision::Bf16 => GpuMatmul::Bf16,
        _ if !has_tf32(device) => GpuMatmul::Burn,
        MatmulPrecision::Tf32 => GpuMatmul::Tf32,
        MatmulPrecision::F32 => GpuMatmul::F32,
    };
    let is_supported = !is_bf16 || supports_bf16(device);
    if is_supported {
        GPU.store(matmul as u8, Ordering::Relaxed);
    }
    is_supported
}

/// For tests of a GPU without TF32 or bf16: multiplies matrices and convolves as [`set_matmul_precision`] lets another GPU do,
/// with operands in f32, bf16 or f16; `None` for burn's choice.
#[doc(hidden)]
pub fn set_gpu_operands(dtype: Option<DType>) {
    let matmul = match dtype {
        Some(DType::F32) => GpuMatmul::F32,
        Some(DType::BF16) => GpuMatmul::Bf16,
        Some(DType::F16) => GpuMatmul::F16,
        _ => GpuMatmul::Burn,
    };
    GPU.store(matmul as u8, Ordering::Relaxed);
}

#[cfg(feature = "gpu")]
pub(crate) fn gpu_matmul() -> GpuMatmul {
    let all = [
        GpuMatmul::Burn,
        GpuMatmul::Tf32,
        GpuMatmul::F32,
        GpuMatmul::Bf16,
        GpuMatmul::F16,
    ];
    all[usize::from(GPU.load(Ordering::Relaxed))]
}

/// The type of operands on a GPU; `None` where burn's product has the precision that is set.
#[cfg(feature = "gpu")]
pub(crate) fn operand_type() -> Option<DType> {
    match gpu_matmul() {
        GpuMatmul::Burn | GpuMatmul::Tf32 => None,
        GpuMatmul::F32 => Some(DType::F32),
        GpuMatmul::Bf16 => Some(DType::BF16),
        GpuMatmul::F16 => Some(DType::F16),
    }
}

/// The type of 16 bits that a GPU's operands are rounded to, if there is any.
#[cfg(feature = "gpu")]
pub(crate) fn half_type() -> Option<DType> {
    operand_type().filter(|dtype| is_half(*dtype))
}

/// Whether it is a float type of 16 bits.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::BF16 | DType::F16)
}

/// The precision of the CPU.
#[cfg(feature = "flex")]
pub(crate) fn matmul_precision() -> MatmulPrecision {
    match bf16_matmul() {
        true => MatmulPrecision::Bf16,
        false => MatmulPrecision::F32,
    }
}

/// Whether the CPU multiplies matrices in bf16 now.
#[cfg(feature = "flex")]
pub(crate) fn bf16_matmul() -> bool {
    CPU_BF16.load(Ordering::Relaxed)
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

fn supports_bf16(device: &Device) -> bool {
    device.supports_dtype(DType::BF16)
}

fn has_tf32(device: &Device) -> bool {
    gpu_path! {
        use burn::backend::DispatchDevice;
        use burn_cubecl::cubecl::prelude::Scalar;
        use burn_cubecl::cubecl::tf32;
        if let DispatchDevice::Cube(device) = device.clone().inner().as_dispatch() {
            let client = device.client();
            return client.properties().supports_type(tf32::elem_type_native());
        }
    }
    let _ = device;
    false
}
