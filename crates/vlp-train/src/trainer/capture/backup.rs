//! What a recording that fails may destroy: wgpu refuses to read the tensors that such a graph would have written.

use std::collections::HashSet;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::ModuleOptimizer;
use burn::prelude::*;

use super::super::Trainer;
use crate::param_values::ParamValues;

/// Copies of parameters, running statistics, moments and moving average.
pub(super) struct Backup {
    params: ParamValues,
    optimizer: ModuleOptimizer,
    average: Option<ParamValues>,
}

struct Ids(HashSet<ParamId>);

impl ModuleVisitor for Ids {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id);
    }
}

impl<M: Module> Trainer<M> {
    pub(super) fn backup(&self) -> Backup {
        let model = self.model();
        let mut ids = Ids(HashSet::new());
        model.visit(&mut ids);
        let mut optimizer = self.optimizer.clone();
        let rates = self.groups.learning_rates(1.0);
        let updates = &self.grad_scale.updates;
        updates.copy_states(&mut optimizer, rates, model.clone(), &ids.0);
        let copies = |model: &M| ParamValues::collect(model, "").copied(model);
        Backup {
            params: copies(&model.valid()),
            optimizer,
            average: self.ema.as_ref().map(|ema| copies(ema.average())),
        }
    }

    /// Replaces all tensors by their copies.
    pub(super) fn restore_backup(&mut self, backup: Backup) {
        self.model = Some(backup.params.restore(self.model().clone()));
        self.optimizer = backup.optimizer;
        if let (Some(ema), Some(average)) = (&mut self.ema, &backup.average) {
            ema.restore(average);
        }
    }
}
