//! Moving average of the weights.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;

use crate::values::Values;

/// A copy of the module whose weights follow with `decay`.
pub struct Ema<M: Module> {
    average: M,
    decay: f64,
}

struct Follow<'a> {
    source: &'a Values,
    decay: f64,
}

impl ModuleMapper for Follow<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.source.get::<D>(param.id) {
            Some(new) => {
                param.map(|old| old.mul_scalar(self.decay) + new.mul_scalar(1.0 - self.decay))
            }
            None => param,
        }
    }
}

impl<M: Module> Ema<M> {
    /// Starts from the module's weights.
    pub fn new(module: &M, decay: f64) -> Self {
        Self {
            average: module.valid(),
            decay,
        }
    }

    /// Goes on from a saved average.
    pub fn resume(average: M, decay: f64) -> Self {
        Self {
            average: average.valid(),
            decay,
        }
    }

    /// Moves every weight and running statistic towards the module's.
    pub fn update(&mut self, module: &M) {
        let source = Values::collect(&module.valid(), "");
        self.average = self.average.clone().map(&mut Follow {
            source: &source,
            decay: self.decay,
        });
    }

    /// The average, on a device without autodiff.
    pub fn average(&self) -> &M {
        &self.average
    }
}
