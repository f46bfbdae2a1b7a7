//! Which tensors take the fast path.

use std::sync::atomic::{AtomicBool, Ordering};

static FAST: AtomicBool = AtomicBool::new(true);

/// Switches the fast paths off or on again, in the whole process: to compare them with burn's own operations.
pub fn use_fast_paths(on: bool) {
    FAST.store(on, Ordering::Relaxed);
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

/// Whether the fast path holds: f32 on the CPU backend, with or without autodiff.
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
    FAST.load(Ordering::Relaxed)
        && tensor.dtype() == dtype
        && tensor.shape().num_elements() > 0
        && on_cpu(&tensor.device())
}
