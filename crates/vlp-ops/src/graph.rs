//! Shared by operations with their own node in the autodiff graph, on any backend.

use std::sync::{Arc, Mutex};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

/// A value that the backward pass takes out once. The state of an autodiff node must be `Clone` and `Debug`; clones share
/// the value.
pub(crate) struct Once<T>(Arc<Mutex<Option<T>>>);

impl<T> Once<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(value))))
    }

    /// The value at the first call, `None` afterwards.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().ok().and_then(|mut value| value.take())
    }
}

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> std::fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Once(..)")
    }
}

/// The tensor's primitive on this backend with autodiff; `None` for a tensor of another backend or without autodiff.
pub(crate) fn autodiff_primitive<B: Backend, const D: usize>(
    x: &Tensor<D>,
) -> Option<FloatTensor<Autodiff<B>>>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    x.clone().try_into_primitive::<Autodiff<B>>().ok()
}
