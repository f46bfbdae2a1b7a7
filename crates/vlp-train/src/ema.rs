//! Exponential moving average of the weights.

use std::fmt;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;

use crate::param_values::ParamValues;

/// A copy of a module whose weights and running statistics are `decay * average + (1 - decay) * current`.
pub struct Ema<M: Module> {
    /// `None` only during an update: updates in place need the sole reference.
    average: Option<M>,
    decay: f64,
}

impl<M: Module> fmt::Debug for Ema<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ema")
            .field("decay", &self.decay)
            .finish_non_exhaustive()
    }
}

struct Update<'a> {
    current: &'a ParamValues,
    decay: f64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.current.get::<D>(param.id) {
            Some(new) => {
                param.map(|old| old.mul_scalar(self.decay) + new.mul_scalar(1.0 - self.decay))
            }
            None => param,
        }
    }
}

impl<M: Module> Ema<M> {
    /// An average that starts at the weights of `module`, either the initial ones or a saved average.
    pub fn new(module: &M, decay: f64) -> Self {
        Self {
            average: Some(module.valid()),
            decay,
        }
    }

    /// Moves the average towards the weights of `module`.
    pub fn update(&mut self, module: &M) {
        let current = ParamValues::collect(&module.valid(), "");
        let mut update = Update {
            current: &current,
            decay: self.decay,
        };
        self.average = (self.average.take()).map(|average| average.map(&mut update));
    }

    /// The average, on a device without autodiff.
    pub fn average(&self) -> &M {
        // Missing only after a panic during an update.
        #[allow(clippy::expect_used)]
        self.average
            .as_ref()
            .expect("an update returns the average")
    }
}
