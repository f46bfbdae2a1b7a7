//! Exponential moving average of the weights.

use std::fmt;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::{UpdateControl, moving_averages};

use crate::param_values::ParamValues;
use crate::placeholders::Placeholders;

/// A copy of a module whose weights and running statistics are `decay * average + (1 - decay) * current`.
pub(crate) struct Ema<M: Module> {
    /// `None` only during an update: in-place updates need the sole reference.
    average: Option<M>,
    decay: f64,
}

impl<M: Module> Clone for Ema<M> {
    fn clone(&self) -> Self {
        Self {
            average: self.average.clone(),
            decay: self.decay,
        }
    }
}

impl<M: Module> fmt::Debug for Ema<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ema")
            .field("decay", &self.decay)
            .finish_non_exhaustive()
    }
}

/// Takes the averages out of the module, each paired with the current value.
struct TakeOut<'a> {
    current: &'a ParamValues,
    pairs: Vec<[Value; 2]>,
    placeholders: Placeholders,
}

impl ModuleMapper for TakeOut<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.current.get::<D>(param.id) {
            Some(current) => param.map(|average| {
                let placeholder = self.placeholders.get(&average.device());
                self.pairs.push([average.into(), current.into()]);
                placeholder
            }),
            None => param,
        }
    }
}

/// Puts the averages back in the order in which they were taken out.
struct PutBack<'a> {
    current: &'a ParamValues,
    averages: std::vec::IntoIter<Value>,
}

impl ModuleMapper for PutBack<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let average = match self.current.get::<D>(param.id) {
            Some(_) => self.averages.next(),
            None => None,
        };
        match average {
            Some(average) => param.map(|_| average.into_tensor()),
            None => param,
        }
    }
}

impl<M: Module> Ema<M> {
    /// An average that starts at the weights of `module`, which are either initial weights or a saved average.
    pub(crate) fn new(module: &M, decay: f64) -> Self {
        Self {
            average: Some(module.valid()),
            decay,
        }
    }

    /// Moves the average towards the weights of `module`, on a GPU if `control` lets an update take place. Returns the
    /// average's tensors.
    pub(crate) fn update_if(&mut self, module: &M, control: Option<&UpdateControl>) -> Vec<Value> {
        let current = ParamValues::collect(&module.valid(), "");
        let Some(average) = self.average.take() else {
            return vec![];
        };
        let mut take_out = TakeOut {
            current: &current,
            pairs: vec![],
            placeholders: Placeholders::default(),
        };
        let average = average.map(&mut take_out);
        let averages = moving_averages(take_out.pairs, self.decay, control);
        let tensors = match control {
            Some(_) => averages.clone(),
            // Without another owner the next update is in place.
            None => vec![],
        };
        self.average = Some(average.map(&mut PutBack {
            current: &current,
            averages: averages.into_iter(),
        }));
        tensors
    }

    /// Replaces the average's tensors.
    pub(crate) fn restore(&mut self, values: &ParamValues) {
        self.average = self.average.take().map(|average| values.restore(average));
    }

    /// The average, on a device without autodiff.
    pub(crate) fn average(&self) -> &M {
        // Missing only after a panic during an update.
        #[allow(clippy::expect_used)]
        self.average
            .as_ref()
            .expect("an update returns the average")
    }
}
