//! Activation checkpointing: layers store only their input for the backward pass and recompute the rest (Chen et al. 2016,
//! "Training Deep Nets with Sublinear Memory Cost"; `torch.utils.checkpoint`).
//!
//! Needed as long as burn's gradient checkpointing covers single element-wise operations, but no layers.

#[cfg(any(feature = "flex", feature = "gpu"))]
mod checkpoint;

use burn::module::Module;
use burn::prelude::*;

/// `f(module, x, second)` with the same values and gradients. Of the activations only `x` and `second` are stored; the
/// backward pass runs `f` a second time to compute the others.
///
/// Gradients reach `x`, `second` and the module's parameters; other tensors that `f` uses must be constants. Dropout
/// repeats the same mask. Side effects of `f` happen twice: [`is_recomputing`](crate::is_recomputing) is true the
/// second time. Without autodiff, and on backends other than the CPU's and the GPUs', this just calls `f`.
pub fn recompute<M, const D: usize, const E: usize>(
    module: &M,
    x: Tensor<D>,
    second: Option<Tensor<D>>,
    f: impl Fn(&M, Tensor<D>, Option<Tensor<D>>) -> Tensor<E> + Send + 'static,
) -> Tensor<E>
where
    M: Module + 'static,
{
    cpu_path! {
        if checkpoint::accepts::<burn::backend::Flex, D>(&x) {
            return checkpoint::run::<burn::backend::Flex, _, _, D, E>(module, (x, second), f);
        }
    }
    gpu_path! {
        if checkpoint::accepts::<burn::backend::Cube, D>(&x) {
            return checkpoint::run::<burn::backend::Cube, _, _, D, E>(module, (x, second), f);
        }
    }
    f(module, x, second)
}
