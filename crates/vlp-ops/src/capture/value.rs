//! Tensors of any kind and rank.

use std::sync::Arc;

#[cfg(feature = "gpu")]
use burn::backend::DispatchTensorKind;
use burn::backend::{DispatchTensor, TensorMetadata};
use burn::prelude::*;
use burn::tensor::kind::Basic;
use burn::tensor::{DType, Shape};

use crate::identity::is_same_kind;

/// A tensor of any kind and rank, an input or output of a [`Captured`](super::Captured) function.
///
/// Clones are the same value: an input that is the same as at the last call is not copied again.
#[derive(Debug, Clone)]
pub struct Value(Arc<DispatchTensor>);

impl Value {
    /// The tensor.
    ///
    /// # Panics
    /// If it has another kind or rank.
    pub fn tensor<const D: usize, K: Basic>(&self) -> Tensor<D, K> {
        assert_eq!(self.0.shape().num_dims(), D, "rank of a captured value");
        Tensor::from_dispatch(self.dispatch())
    }

    /// The tensor; it is not cloned if this is its only owner, so that operations can write into it.
    ///
    /// # Panics
    /// If it has another kind or rank.
    pub fn into_tensor<const D: usize, K: Basic>(self) -> Tensor<D, K> {
        assert_eq!(self.0.shape().num_dims(), D, "rank of a value");
        Tensor::from_dispatch(self.into_dispatch())
    }

    /// Whether both are one float tensor without autodiff (see [`is_same_tensor`](crate::is_same_tensor)).
    pub fn is_same_tensor(&self, other: &Self) -> bool {
        is_same_kind(&self.0.kind, &other.0.kind)
    }

    pub(crate) fn into_dispatch(self) -> DispatchTensor {
        Arc::try_unwrap(self.0).unwrap_or_else(|shared| DispatchTensor::clone(&shared))
    }

    /// The device of a float tensor.
    #[cfg(feature = "gpu")]
    pub(crate) fn device(&self) -> Device {
        // Of any rank: it does not matter.
        Tensor::<1>::from_dispatch(self.dispatch()).device()
    }

    /// Number of axes.
    pub(crate) fn rank(&self) -> usize {
        self.0.shape().num_dims()
    }

    #[cfg(feature = "gpu")]
    pub(crate) fn is_f32(&self) -> bool {
        self.0.dtype() == DType::F32
    }

    #[cfg(feature = "gpu")]
    pub(crate) fn kind(&self) -> &DispatchTensorKind {
        &self.0.kind
    }

    pub(super) fn dispatch(&self) -> DispatchTensor {
        DispatchTensor::clone(&self.0)
    }

    /// The properties that a recorded graph depends on: the type of the elements and the sizes.
    pub fn signature(&self) -> (DType, Shape) {
        (self.0.dtype(), self.0.shape())
    }

    #[cfg(feature = "gpu")]
    pub(super) fn downgrade(&self) -> WeakValue {
        WeakValue(Arc::downgrade(&self.0))
    }
}

impl<const D: usize, K: Basic> From<Tensor<D, K>> for Value {
    fn from(tensor: Tensor<D, K>) -> Self {
        tensor.into_dispatch().into()
    }
}

impl From<DispatchTensor> for Value {
    fn from(tensor: DispatchTensor) -> Self {
        Self(Arc::new(tensor))
    }
}

/// Recognizes a value without keeping its tensor in memory.
#[cfg(feature = "gpu")]
#[derive(Debug)]
pub(super) struct WeakValue(std::sync::Weak<DispatchTensor>);

#[cfg(feature = "gpu")]
impl WeakValue {
    pub(super) fn is(&self, value: &Value) -> bool {
        std::ptr::eq(self.0.as_ptr(), Arc::as_ptr(&value.0))
    }
}
