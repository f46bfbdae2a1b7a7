//! Which tensors take the fast path, and in what precision it multiplies.

use std::sync::atomic::{AtomicBool, Ordering};

static FAST: AtomicBool = AtomicBool::new(true);
static BF16: AtomicBool = AtomicBool::new(false);

/// Switches the fast paths off or on again, in the whole process: to compare them with burn's own operations.
pub fn use_fast_paths(on: bool) {
    FAST.store(on, Ordering::Relaxed);
}

/// Has the CPU's fast paths multiply matrices and convolve in bf16, or in f32 again, in the whole process: operands
/// are rounded to eight bits of precision as they are read, products are summed in f32, and all else stays f32, burn's own
/// products too. PyTorch does so on a CPU after `torch.set_float32_matmul_precision("medium")` and
/// `torch.backends.mkldnn.conv.fp32_precision = "bf16"`. Off at first.
///
/// Faster than f32 on AMD's processors, and on Intel's with AMX (Sapphire Rapids and later, on Linux), which is used; Intel's
/// others make as many products in f32, and packing comes on top.
///
/// Says whether the processor can (x86-64 with AVX-512 BF16: Zen 4, Cooper Lake, Sapphire Rapids); where it cannot, or the
/// feature `flex` is missing, f32 stays.
#[must_use = "it is false where the processor cannot"]
pub fn use_bf16_products(on: bool) -> bool {
    let can = has_bf16();
    BF16.store(on && can, Ordering::Relaxed);
    can
}

/// Whether products are made in bf16 now.
#[cfg(feature = "flex")]
pub(crate) fn in_bf16() -> bool {
    BF16.load(Ordering::Relaxed)
}

pub(crate) fn has_bf16() -> bool {
    #[cfg(all(feature = "flex", target_arch = "x86_64"))]
    // What `bf16::x86` is compiled for; every processor with the last has the others.
    return is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(all(feature = "flex", target_arch = "x86_64")))]
    false
}

/// Whether values lie in the CPU's memory, where fast paths may hold.
pub(crate) fn on_cpu(device: &burn::prelude::Device) -> bool {
    #[cfg(feature = "flex")]
    {
        use burn::backend::{DispatchDevice, FlexDevice};
        *device.clone().inner().as_dispatch() == DispatchDevice::Flex(FlexDevice)
    }
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// Whether the fast path holds: f32 on the CPU backend, with or without autodiff. An operation follows then, for which the
/// other threads are kept awake.
#[cfg(feature = "flex")]
pub(crate) fn fast<const D: usize>(tensor: &burn::Tensor<D>) -> bool {
    fast_in(tensor, burn::tensor::DType::F32)
}

/// As [`fast`], of values of another type.
#[cfg(feature = "flex")]
pub(crate) fn fast_in<const D: usize>(
    tensor: &burn::Tensor<D>,
    dtype: burn::tensor::DType,
) -> bool {
    let fast = FAST.load(Ordering::Relaxed)
        && tensor.dtype() == dtype
        && tensor.shape().num_elements() > 0
        && on_cpu(&tensor.device());
    if fast {
        crate::awake::stay_awake();
    }
    fast
}
