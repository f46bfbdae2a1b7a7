//! Copies of tensors to the CPU.

use std::cell::Cell;

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::kind::Basic;

thread_local! {
    static COPIES: Cell<u64> = const { Cell::new(0) };
}

/// The values of a tensor. A GPU must finish everything before it: the caller waits, and then the GPU waits for the caller.
pub fn to_cpu<const D: usize, K: Basic>(tensor: Tensor<D, K>) -> TensorData {
    COPIES.set(COPIES.get() + 1);
    tensor.into_data()
}

/// Calls of [`to_cpu`] on this thread so far, to count those of a training step.
pub fn copies_to_cpu() -> u64 {
    COPIES.get()
}
