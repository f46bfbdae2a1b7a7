//! Optional tensors as arguments of a backend extension.

use burn::backend::Dispatch;
use burn::backend::tensor::FloatTensor;
use burn::prelude::*;

use crate::cpu::tensor::{Array, as_slice, contiguous};

/// burn's backend extensions take no `Option` of a tensor: an empty tensor represents `None`.
#[derive(Debug, Clone)]
pub(crate) struct OptionalTensor(Array);

impl OptionalTensor {
    /// An argument of an extension; `device` is that of its other tensors.
    pub(crate) fn into_dispatch<const D: usize>(
        tensor: Option<Tensor<D>>,
        device: &Device,
    ) -> FloatTensor<Dispatch> {
        let tensor = tensor.unwrap_or_else(|| Tensor::empty([0; D], device));
        tensor.into_dispatch()
    }

    /// From an argument of an extension.
    pub(crate) fn new(array: &Array) -> Self {
        Self(contiguous(array))
    }

    /// The values, if there is a tensor.
    pub(crate) fn values(&self) -> Option<&[f32]> {
        Some(as_slice(&self.0)).filter(|values| !values.is_empty())
    }
}
