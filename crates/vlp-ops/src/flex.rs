//! What all fast paths share: slices of tensors, wide instructions.

use std::mem::MaybeUninit;

use burn::backend::{Flex, tensor::FloatTensor};
use burn::prelude::Tensor;
use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

/// A tensor of the CPU backend.
pub(crate) type Array = FloatTensor<Flex>;

/// The tensor's values in row-major order; copied only where its layout is another one.
pub(crate) fn dense(tensor: &Array) -> Array {
    tensor.to_contiguous()
}

/// Values of a [`dense`] tensor of f32.
pub(crate) fn values(tensor: &Array) -> &[f32] {
    // Both hold by `dense` and `route::fast`.
    #[allow(clippy::expect_used)]
    tensor.as_slice::<f32>().expect("dense f32 values")
}

/// A tensor of these values.
pub(crate) fn array(values: Vec<f32>, shape: impl Into<Shape>) -> Array {
    Array::from_data(TensorData::new(values, shape.into()))
}

/// The CPU backend's part of a tensor that `route::fast` said to be there, without autodiff.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> Array {
    // The device was asked for before.
    #[allow(clippy::expect_used)]
    tensor
        .try_into_primitive::<Flex>()
        .expect("a tensor of the CPU")
}

/// The tensor's values, to be overwritten: dense, from the first of its buffer to the last.
pub(crate) fn own<const D: usize>(tensor: Tensor<D>) -> Array {
    owned(primitive(tensor))
}

/// As [`own`].
pub(crate) fn owned(tensor: Array) -> Array {
    let count = tensor.layout().num_elements();
    let whole = tensor.is_contiguous()
        && tensor.layout().start_offset() == 0
        && tensor.bytes().len() == count * tensor.dtype().size();
    if whole {
        return tensor;
    }
    Array::from_data(dense(&tensor).into_data())
}

/// Runs `f` with the widest vector instructions of this processor: those of `f` itself and of what is inlined into it.
/// So closures on the way are marked `#[inline(always)]`, functions too, and loops stand in place of `for_each` and
/// `sum`.
#[inline(always)]
pub(crate) fn wide<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// `f` on `length` values of any content, in memory that the thread keeps, up to 32 MiB: zeroing it anew, by the one thread that
/// asks for it, took a quarter of a convolution by Winograd's algorithm.
pub(crate) fn scratch<R>(length: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    const MOST: usize = 1 << 23;
    if length > MOST {
        return f(&mut vec![0.0; length]);
    }
    thread_local! {
        static KEPT: std::cell::Cell<Vec<f32>> = const { std::cell::Cell::new(Vec::new()) };
    }
    let mut values = KEPT.take();
    if values.len() < length {
        values.resize(length, 0.0);
    }
    let result = f(&mut values[..length]);
    KEPT.set(values);
    result
}

/// Values one task works on: large enough to pay for the task, fixed so that sums do not depend on the number of
/// threads.
pub(crate) const TASK: usize = 1 << 15;

/// Values whose results wait in the first cache while others are read, where several tensors are read and written at
/// once: a processor holds a read back behind a write of which the last 12 bits of the address agree, and large tensors
/// lie at like distances from a page's start. It made AdamW three times as slow.
pub(crate) const WAIT: usize = 128;

/// Rows of `width` one task works on.
pub(crate) fn task_rows(width: usize) -> usize {
    (TASK / width.max(1)).max(1)
}

/// `f` on blocks of `out` of `size` values with their number, on all threads where there is more than one block.
pub(crate) fn blocks<T: Send>(out: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    if out.len() <= size {
        wide(
            #[inline(always)]
            || f(0, out),
        );
    } else {
        out.par_chunks_mut(size).enumerate().for_each(|(i, block)| {
            wide(
                #[inline(always)]
                || f(i, block),
            )
        });
    }
}

/// `length` values that `f` makes of zeros, as [`blocks`] are.
///
/// A `vec![0.0; length]` is zeroed by the thread that asks for it, value by value through the memory while all others
/// wait; here each block is by the task that is about to write it, in its cache.
pub(crate) fn made<T: Copy + Default + Send>(
    length: usize,
    size: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) -> Vec<T> {
    let mut out = Vec::with_capacity(length);
    blocks(
        &mut out.spare_capacity_mut()[..length],
        size.max(1),
        #[inline(always)]
        |i, block| f(i, zeroed(block)),
    );
    // SAFETY: all blocks are zeroed at least.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(length);
    }
    out
}

/// Values of no content as zeros.
#[inline(always)]
pub(crate) fn zeroed<T: Copy + Default>(values: &mut [MaybeUninit<T>]) -> &mut [T] {
    values.fill(MaybeUninit::new(T::default()));
    // SAFETY: written above.
    #[allow(unsafe_code)]
    unsafe {
        values.assume_init_mut()
    }
}

/// Sum of `f` over two slices of one length in sixteen lanes: an order that vectors keep.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    // Loops: `sum` of an iterator may be compiled on its own, without the wide instructions.
    let mut tail = 0.0;
    for (a, b) in a_rest.iter().zip(b_rest) {
        tail += f(*a, *b);
    }
    // Out of sight of the loop above, whose lanes would be paired like these instead of making one vector.
    let mut lanes = std::hint::black_box(lanes);
    let mut half = 8;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0] + tail
}

/// As [`sum2`] over one slice.
#[inline(always)]
pub(crate) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(values, values, |a, _| f(a))
}

/// The greatest value, NaN left out, in sixteen lanes.
#[inline(always)]
pub(crate) fn greatest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (whole, rest) = values.as_chunks::<16>();
    for chunk in whole {
        for (best, value) in lanes.iter_mut().zip(chunk) {
            *best = if *value > *best { *value } else { *best };
        }
    }
    let mut greatest = f32::NEG_INFINITY;
    for value in std::hint::black_box(lanes) {
        greatest = greatest.max(value);
    }
    for value in rest {
        greatest = greatest.max(*value);
    }
    greatest
}

/// `e^x` to 2 units in the last place between -87 and 88, where it stops, in operations that vectorise (Cephes'
/// `expf`); 0 below.
#[inline(always)]
pub(crate) fn exp(value: f32) -> f32 {
    let x = if value < -87.0 { -87.0 } else { value };
    let x = if x > 88.0 { 88.0 } else { x };
    // Adding 1.5 * 2^23 rounds to an integer, held in the sum's last bits.
    const ROUND: f32 = 12_582_912.0;
    let sum = x * std::f32::consts::LOG2_E + ROUND;
    let n = sum - ROUND;
    // ln 2 in two parts, the first exact in few bits.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let power = sum
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    let y = p * f32::from_bits(power);
    if value < -87.0 { 0.0 } else { y }
}

/// The error function to 4e-7, in operations that vectorise: a rational function on `[-4, 4]` (as in Eigen).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let inside = x.clamp(-4.0, 4.0);
    let s = inside * inside;
    let a = -2.726_142_4e-10;
    let a = a * s + 2.770_681_4e-8;
    let a = a * s - 2.101_024e-6;
    let a = a * s - 5.692_506_5e-5;
    let a = a * s - 7.349_906_3e-4;
    let a = a * s - 2.954_6e-3;
    let a = a * s - 1.609_603_3e-2;
    let b = -1.456_607_2e-5;
    let b = b * s - 2.133_740_6e-4;
    let b = b * s - 1.682_827e-3;
    let b = b * s - 7.373_329e-3;
    let b = b * s - 1.426_474e-2;
    // From here on f32 knows of nothing between erf and 1.
    let y = if x > 3.92 { 1.0 } else { inside * a / b };
    if x < -3.92 { -1.0 } else { y }
}

/// What the operations' gradients are made of.
pub(crate) mod tape {
    pub(crate) use burn::backend::autodiff::checkpoint::base::Checkpointer;
    pub(crate) use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    pub(crate) use burn::backend::autodiff::grads::Gradients;
    pub(crate) use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    pub(crate) use burn::backend::tensor::FloatTensor;
    pub(crate) use burn::backend::{
        Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
    };
}
