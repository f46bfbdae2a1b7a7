//! Placeholders for tensors that are temporarily taken out of a module.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;

use burn::prelude::*;

/// One small tensor of each rank, with meaningless values. Clones are free.
#[derive(Default)]
pub(crate) struct Placeholders(HashMap<usize, Box<dyn Any + Send>>);

impl fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placeholders").finish_non_exhaustive()
    }
}

impl Placeholders {
    /// The placeholder on `device` for a tensor of rank `D`; all placeholders are on one device.
    pub(crate) fn get<const D: usize>(&mut self, device: &Device) -> Tensor<D> {
        let empty = || Tensor::<D>::empty([1; D], device);
        let tensor = self.0.entry(D).or_insert_with(|| Box::new(empty()));
        let tensor = tensor.downcast_ref::<Tensor<D>>();
        tensor.cloned().unwrap_or_else(empty)
    }
}
