//! Copies of tensors to the CPU.

use std::cell::Cell;

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::kind::Basic;

thread_local! {
    static COPIES: Cell<u64> = const { Cell::new(0) };
}

/// Copies the values of a tensor to the CPU, from a GPU only when they are first accessed: until then nothing may write into the
/// tensor, as recorded steps do. On a GPU this is a synchronization: the caller waits until all earlier work is done, and the
/// GPU is then idle until the caller launches more.
pub fn to_cpu<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> TensorData {
    COPIES.set(COPIES.get() + 1);
    tensor.into_data()
}

/// Number of calls of [`to_cpu`] on this thread so far, to count those of a training step.
pub fn copies_to_cpu() -> u64 {
    COPIES.get()
}
