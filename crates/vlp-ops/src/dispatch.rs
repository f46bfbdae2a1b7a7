//! Which tensors take the CPU fast path.

use std::sync::atomic::{AtomicBool, Ordering};

static FAST_PATHS: AtomicBool = AtomicBool::new(true);

/// Switches the CPU fast paths off or on in the whole process, to compare them with burn's own operations. They are on by
/// default.
pub fn use_fast_paths(on: bool) {
    FAST_PATHS.store(on, Ordering::Relaxed);
}

/// Whether the fast path applies: a non-empty f32 tensor of the CPU backend, with or without autodiff.
///
/// Side effect: wakes the thread pool, since an operation is about to run.
#[cfg(feature = "flex")]
pub(crate) fn takes_fast_path<const D: usize>(tensor: &burn::Tensor<D>) -> bool {
    takes_fast_path_as(tensor, burn::tensor::DType::F32)
}

/// [`takes_fast_path`] for values of another type.
#[cfg(feature = "flex")]
pub(crate) fn takes_fast_path_as<const D: usize>(
    tensor: &burn::Tensor<D>,
    dtype: burn::tensor::DType,
) -> bool {
    let applies = FAST_PATHS.load(Ordering::Relaxed)
        && tensor.dtype() == dtype
        && tensor.shape().num_elements() > 0
        && crate::device::is_cpu(&tensor.device());
    if applies {
        crate::cpu::spin_wait::keep_pool_awake();
    }
    applies
}
