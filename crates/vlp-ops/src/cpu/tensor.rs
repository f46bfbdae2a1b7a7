//! Tensors of the CPU backend as slices, and blocks of a slice as tasks of all threads.

use std::mem::MaybeUninit;

use burn::backend::{Flex, tensor::FloatTensor};
use burn::prelude::Tensor;
use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

use super::simd::simd_dispatch;

/// A float tensor of the CPU backend.
pub(crate) type Array = FloatTensor<Flex>;

/// The tensor in row-major order, without gaps; copied only if its layout differs.
pub(crate) fn contiguous(tensor: &Array) -> Array {
    tensor.to_contiguous()
}

/// Values of a [`contiguous`] f32 tensor.
pub(crate) fn as_slice(tensor: &Array) -> &[f32] {
    // `contiguous` and `dispatch::takes_fast_path` make sure of both.
    #[allow(clippy::expect_used)]
    tensor.as_slice::<f32>().expect("contiguous f32 values")
}

/// A tensor of these values.
pub(crate) fn from_vec(values: Vec<f32>, shape: impl Into<Shape>) -> Array {
    Array::from_data(TensorData::new(values, shape.into()))
}

/// The backend's tensor of one that `dispatch::takes_fast_path` accepted, without autodiff.
pub(crate) fn into_array<const D: usize>(tensor: Tensor<D>) -> Array {
    // The device was checked before.
    #[allow(clippy::expect_used)]
    tensor
        .try_into_primitive::<Flex>()
        .expect("a tensor of the CPU backend")
}

/// The tensor to be overwritten: contiguous, and spanning its whole buffer. `storage_mut` copies it if it is shared.
pub(crate) fn into_writable(tensor: Array) -> Array {
    let count = tensor.layout().num_elements();
    let is_whole_buffer = tensor.is_contiguous()
        && tensor.layout().start_offset() == 0
        && tensor.bytes().len() == count * tensor.dtype().size();
    if is_whole_buffer {
        return tensor;
    }
    Array::from_data(contiguous(&tensor).into_data())
}

/// `f` on `length` values of unspecified content, in memory that each thread keeps, up to 32 MiB. A new buffer would be
/// zeroed by the one thread that allocates it, which took a quarter of a Winograd convolution.
pub(crate) fn with_scratch<R>(length: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    const MAX_KEPT: usize = 1 << 23;
    if length > MAX_KEPT {
        return f(&mut vec![0.0; length]);
    }
    thread_local! {
        static SCRATCH: std::cell::Cell<Vec<f32>> = const { std::cell::Cell::new(Vec::new()) };
    }
    let mut values = SCRATCH.take();
    if values.len() < length {
        values.resize(length, 0.0);
    }
    let result = f(&mut values[..length]);
    SCRATCH.set(values);
    result
}

/// Number of values of a task: large enough to outweigh the overhead of a task, and fixed, so that sums do not depend on the
/// number of threads.
pub(crate) const CHUNK_LEN: usize = 1 << 15;

/// Number of values whose results are staged in the L1 cache when several tensors are read and written at once. A
/// processor delays a load that follows a store whose address has the same last 12 bits (4K aliasing), and large
/// tensors start at equal offsets within a page. Without staging AdamW was three times as slow.
pub(crate) const STAGING_LEN: usize = 128;

/// Rows of `width` values that one task works on.
pub(crate) fn rows_per_chunk(width: usize) -> usize {
    (CHUNK_LEN / width.max(1)).max(1)
}

/// `f` on the index and the values of each block of `size` values of `out`; on all threads where there is more than one
/// block.
pub(crate) fn for_blocks<T: Send>(out: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    if out.len() <= size {
        simd_dispatch(
            #[inline(always)]
            || f(0, out),
        );
    } else {
        out.par_chunks_mut(size).enumerate().for_each(|(i, block)| {
            simd_dispatch(
                #[inline(always)]
                || f(i, block),
            )
        });
    }
}

/// A vector of `length` zeros, after `f` has run on its blocks as in [`for_blocks`].
///
/// `vec![0.0; length]` is zeroed by the thread that allocates it, while all others wait. Here each block is zeroed by the
/// task that writes it next, in that core's cache.
pub(crate) fn alloc_blocks<T: Copy + Default + Send>(
    length: usize,
    size: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    let mut out = Vec::with_capacity(length);
    for_blocks(
        &mut out.spare_capacity_mut()[..length],
        size.max(1),
        #[inline(always)]
        |i, block| f(i, zeroed(block)),
    );
    // SAFETY: the blocks cover the first `length` values, all of which have been initialized.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(length);
    }
    out
}

/// Sets uninitialized values to zero.
#[inline(always)]
pub(crate) fn zeroed<T: Copy + Default>(values: &mut [MaybeUninit<T>]) -> &mut [T] {
    values.fill(MaybeUninit::new(T::default()));
    // SAFETY: all values have been written above.
    #[allow(unsafe_code)]
    unsafe {
        values.assume_init_mut()
    }
}
