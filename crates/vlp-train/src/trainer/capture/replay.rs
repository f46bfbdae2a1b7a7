//! Replays a step.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::{AdamWStep, SgdStep, sample_dropout_seeds, to_cpu};

use super::super::{StepOutcome, StepReport, Trainer};
use super::StepInputs;
use super::graphs::{Key, Plan};
use super::record::ControlInputs;
use crate::error::TrainError;

impl<M: Module> Trainer<M> {
    /// How the next step of a key runs. If it is another than that of the previous step, the optimizer counts the replays.
    pub(super) fn choose_graph(&mut self, key: Key) -> Plan {
        // Both may drop the graph that says what its replays have updated.
        if !self.graphs.is_current(&key) || self.graphs.in_place.has_moved() {
            self.count_replays();
        }
        self.graphs.choose(key)
    }

    /// Replays the current graph with the inputs of the current step, or with constants that change nothing. Returns the values
    /// that the step reads.
    pub(super) fn replay(
        &mut self,
        seed: u64,
        inputs: &[StepInputs],
        is_active: bool,
    ) -> Result<Vec<f32>, String> {
        let (rows, first) = (self.param_count(), self.micro_batches().start);
        self.refresh_numbers();
        let lr_factor = self.lr_factor();
        let uncounted = i32::try_from(self.graphs.uncounted).unwrap_or(i32::MAX);
        let counts = self.graphs.recorded().map(|graph| graph.seeds.clone());
        let mut seeds = vec![];
        for (index, count) in counts.unwrap_or_default().into_iter().enumerate() {
            self.seed_micro_batch(seed, first + index);
            seeds.extend(sample_dropout_seeds(count));
        }
        let device = self.model().devices().first().cloned().unwrap_or_default();
        let Some(recorded) = self.graphs.recorded() else {
            return Err("there is no graph".into());
        };
        let adamw = recorded.updates.adamw.iter().map(|step| AdamWStep {
            learning_rate: step.learning_rate * lr_factor,
            step_number: step.step_number.saturating_add(uncounted),
            ..*step
        });
        let sgd = recorded.updates.sgd.iter().map(|step| SgdStep {
            learning_rate: step.learning_rate * lr_factor,
            ..*step
        });
        let (adamw, sgd): (Vec<_>, Vec<_>) = (adamw.collect(), sgd.collect());
        let control = ControlInputs::new(is_active, rows, (&adamw, &sgd), seeds);
        let mut values: Vec<Value> = control.values(&device.inner()).into();
        values.extend(inputs.iter().flat_map(|inputs| inputs.values.clone()));
        let outputs = recorded.graph.replay(&values)?;
        let unread = outputs.into_iter().next().ok_or("it has no outputs")?;
        Ok(to_cpu(unread.into_tensor::<1, Float>()).iter().collect())
    }

    /// After a replay that has failed for this reason and changed nothing: on wgpu the tensors that it would have written cannot
    /// be read until a replay succeeds, so this one follows, which changes nothing either.
    ///
    /// # Errors
    /// [`TrainError::Replay`] if it fails too.
    pub(super) fn release_weights(
        &mut self,
        seed: u64,
        inputs: &[StepInputs],
        reason: &str,
    ) -> Result<(), TrainError> {
        let released = self.replay(seed, inputs, false);
        released.map(|_| ()).map_err(|_| TrainError::Replay {
            step: self.step + 1,
            reason: reason.into(),
        })
    }

    /// Counts a step that was replayed; `values` are finite.
    pub(super) fn finish_replay<T: Clone + 'static>(&mut self, values: &[f32]) -> StepOutcome<T> {
        let learning_rate = self.config.optimizer.learning_rate * self.lr_factor();
        self.step += 1;
        self.skipped_in_row = 0;
        self.graphs.uncounted += 1;
        self.graphs.replays += 1;
        let (norm, mut rest) = values.split_last().unwrap_or((&0.0, &[]));
        let report = StepReport {
            grad_norm: *norm,
            learning_rate,
            skipped: None,
        };
        let mut outputs = vec![];
        if let Some(recorded) = self.graphs.recorded()
            && let Some(recorded_outputs) = recorded.outputs.downcast_ref::<Vec<T>>()
        {
            for (output, &count) in recorded_outputs.iter().zip(&recorded.values) {
                let (values, others) = rest.split_at(count.min(rest.len()));
                outputs.push((output.clone(), values.to_vec()));
                rest = others;
            }
        }
        (report, outputs)
    }

    /// Lets the optimizer count the updates by replays.
    pub(in crate::trainer) fn count_replays(&mut self) {
        if self.graphs.uncounted > 0 {
            let mut optimizer = self.optimizer.clone();
            self.count_uncounted(&mut optimizer);
            self.optimizer = optimizer;
            self.graphs.uncounted = 0;
        }
        self.graphs.forget_numbers();
    }

    /// The optimizer after all updates.
    pub(in crate::trainer) fn counted_optimizer(&self) -> ModuleOptimizer {
        let mut optimizer = self.optimizer.clone();
        self.count_uncounted(&mut optimizer);
        optimizer
    }

    fn count_uncounted(&self, optimizer: &mut ModuleOptimizer) {
        let (count, Some(params)) = (self.graphs.uncounted, self.graphs.params()) else {
            return;
        };
        if count > 0 {
            let rates = self.groups.learning_rates(1.0);
            let updates = &self.grad_scale.updates;
            updates.count(count, optimizer, rates, self.model().clone(), params);
        }
    }

    /// Sets the numbers of the current graph's updates after steps without it.
    fn refresh_numbers(&mut self) {
        if (self.graphs.recorded()).is_none_or(|graph| graph.has_numbers) {
            return;
        }
        let Some(params) = self.graphs.params() else {
            return;
        };
        let mut optimizer = self.optimizer.clone();
        let rates = self.groups.learning_rates(1.0);
        let (updates, model) = (&self.grad_scale.updates, self.model().clone());
        let numbers = updates.step_numbers(&mut optimizer, rates, model, params);
        if let Some(recorded) = self.graphs.recorded() {
            for (step, number) in recorded.updates.adamw.iter_mut().zip(numbers) {
                step.step_number = number;
            }
            recorded.has_numbers = true;
        }
    }
}
