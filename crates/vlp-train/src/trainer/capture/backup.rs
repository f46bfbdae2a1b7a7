//! What a recording that fails may destroy: wgpu refuses to read the tensors that such a graph would have written.

use burn::module::Module;
use burn::optim::ModuleOptimizer;

use super::super::Trainer;
use crate::param_values::ParamValues;

/// Copies of parameters, running statistics, moments and moving average.
pub(super) struct Backup {
    params: ParamValues,
    optimizer: ModuleOptimizer,
    average: Option<ParamValues>,
}

impl<M: Module> Trainer<M> {
    pub(super) fn backup(&self) -> Backup {
        let model = self.model();
        let params = ParamValues::collect(&model.valid(), "");
        let ids = params.ids().collect();
        let mut optimizer = self.optimizer.clone();
        let rates = self.groups.learning_rates(1.0);
        let updates = &self.grad_scale.updates;
        updates.copy_states(&mut optimizer, rates, model.clone(), &ids);
        Backup {
            params: params.copied(model),
            optimizer,
            average: self.ema.as_ref().map(|ema| {
                let average = ema.average();
                ParamValues::collect(average, "").copied(average)
            }),
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
