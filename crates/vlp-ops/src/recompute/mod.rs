//! Layers of which only the input is kept for the backward pass, which computes the rest again (Chen et al. 2016,
//! "Training Deep Nets with Sublinear Memory Cost"; `torch.utils.checkpoint`).
//!
//! Needed as long as burn's gradient checkpointing knows single element-wise operations and no layers.

#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
mod again;
// Without a backend there is no second pass.
#[cfg_attr(
    not(any(feature = "flex", feature = "wgpu", feature = "cuda")),
    allow(dead_code)
)]
mod replay;

use burn::module::Module;
use burn::prelude::*;

pub use replay::recomputing;
pub(crate) use replay::{seed, stays};

/// `f(module, x, beside)`: the same values and gradients, with a second forward pass of `f` for the memory of all that
/// it keeps but `x` and `beside`.
///
/// Gradients reach `x`, `beside` and the module's parameters; other tensors that `f` takes with it must be constants.
/// Dropout falls where it fell. What `f` does beside its result happens twice: [`recomputing`] tells the second time.
/// Without autodiff this is `f` alone, as on backends that are neither the CPU's nor a GPU's.
pub fn recompute<M, const D: usize, const E: usize>(
    module: &M,
    x: Tensor<D>,
    beside: Option<Tensor<D>>,
    f: impl Fn(&M, Tensor<D>, Option<Tensor<D>>) -> Tensor<E> + Send + 'static,
) -> Tensor<E>
where
    M: Module + 'static,
{
    #[cfg(feature = "flex")]
    if again::knows::<burn::backend::Flex, D>(&x) {
        return again::run::<burn::backend::Flex, _, _, D, E>(module, (x, beside), f);
    }
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if again::knows::<burn::backend::Cube, D>(&x) {
        return again::run::<burn::backend::Cube, _, _, D, E>(module, (x, beside), f);
    }
    f(module, x, beside)
}
