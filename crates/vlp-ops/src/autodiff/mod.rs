//! The fast operations as extensions of burn's CPU backend, each with its own node in the autodiff graph.
//!
//! There is one file per operation: the extension trait, its kernels for [`Flex`](burn::backend::Flex), and the
//! backward pass.

pub(crate) mod affine;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod conv2d;
pub(crate) mod conv2d_affine;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod log_prob;
pub(crate) mod max_pool2d;
mod node;
mod optional;
pub(crate) mod softmax;

/// Imports of every extension.
pub(crate) mod prelude {
    pub(crate) use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    pub(crate) use burn::backend::tensor::FloatTensor;
    pub(crate) use burn::backend::{
        Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension,
    };
    pub(crate) use burn::prelude::Tensor;

    pub(crate) use super::node::{Parents, record};
    pub(crate) use super::optional::OptionalTensor;
    pub(crate) use crate::cpu::tensor::{Array, as_slice, contiguous, from_vec, into_writable};
}
