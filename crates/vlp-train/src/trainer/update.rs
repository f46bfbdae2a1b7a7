//! The end of a step: check, clip, update, average, or skip.

use burn::module::Module;
use burn::optim::GradientsParams;
use vlp_ops::UpdateControl;

use super::accumulate::Accumulated;
use super::step_sum::Statistics;
use super::step_values::{Unread, skip_reason};
use super::{SkipReason, StepOutcome, StepReport, Trainer};
use crate::error::TrainError;
use crate::grads::{clone_grads, norm_on_device, param_norms};
use crate::param_values::ParamValues;

impl<M: Module> Trainer<M> {
    /// Checks and clips the gradients and updates the weights; or skips the step, where `start` are the running
    /// statistics to restore. Reads from the device once, if nothing is wrong.
    pub(super) fn apply<T>(
        &mut self,
        start: &ParamValues,
        run: Accumulated<T>,
    ) -> Result<StepOutcome<T>, TrainError> {
        let lr_factor = self.lr_factor();
        let learning_rate = self.config.optimizer.learning_rate * lr_factor;
        self.step += 1;
        let Accumulated { mut batches, sums } = run;
        let sum = sums.into_iter().next().unwrap_or_default();
        let statistics = sum.statistics;
        let mut grads = sum.grads.unwrap_or_else(GradientsParams::new);
        let norm = norm_on_device(self.model(), &grads);
        let max_norm = self.config.optimizer.clip_norm as f32;
        let unread = Unread::new(&batches, norm);
        let values = unread.with_norm().filter(|_| self.defers_reads);
        // The update is launched before the CPU has read the values; the device decides whether it takes effect.
        let mut launched = None;
        if let Some(values) = values.filter(|_| skip_reason(&batches).is_none()) {
            let control = self.graphs.control(UpdateControl::new(values, max_norm));
            let clones = clone_grads(self.model(), &grads);
            let grads = std::mem::replace(&mut grads, clones);
            self.launch_update(lr_factor, grads, &control);
            launched = Some(control);
        }
        let norm = unread.read(&mut batches);
        let not_finite = skip_reason(&batches);
        let no_gradient = batches.iter().find_map(|batch| batch.reason.clone());
        if let Some((index, _)) = &not_finite
            && !self.config.data_parallel_halves
        {
            batches.truncate(index + 1);
        }
        let grad_norm = if not_finite.is_some() { 0.0 } else { norm };
        let reason = not_finite.map(|(_, reason)| reason);
        let reason = reason.or_else(|| no_gradient.filter(|_| grads.is_empty()));
        let reason = reason.or_else(|| self.norm_reason(grad_norm, &grads));
        let report = StepReport {
            grad_norm,
            learning_rate,
            skipped: reason,
        };
        let outputs = batches.into_iter();
        let outputs = outputs.map(|batch| (batch.output, batch.values)).collect();
        if let Some(reason) = &report.skipped {
            if launched.is_some() {
                self.undo_update(lr_factor, &grads);
            }
            self.skip(start, reason)?;
            return Ok((report, outputs));
        }
        self.skipped_in_row = 0;
        if launched.is_none() {
            self.grad_scale.clip(grad_norm, max_norm);
            self.update(lr_factor, grads);
        }
        if statistics.is_some() {
            self.model = Some(self.with_mean_statistics(statistics.as_ref()));
        }
        self.call_end_of_step(self.step - 1);
        let control = launched.filter(|_| self.graphs.exist());
        if let (Some(ema), Some(model)) = (&mut self.ema, &self.model) {
            ema.update_if(model, control.as_ref());
        }
        Ok((report, outputs))
    }

    /// Factor of the learning rates in the current step.
    pub(super) fn lr_factor(&self) -> f64 {
        let schedule = &self.config.schedule;
        schedule.lr_factor(self.step, self.config.steps)
    }

    /// The module with means over the step's micro-batches.
    pub(super) fn with_mean_statistics(&self, statistics: Option<&Statistics>) -> M {
        let model = self.model();
        let Some(statistics) = statistics else {
            return model.clone();
        };
        let (sums, count) = (&statistics.sums, self.config.accumulate);
        let means = sums.mean(&statistics.changed, count, model);
        means.restore(model.clone())
    }

    /// Tells the module, as it is frozen at `step`, that its running statistics are those at the end of the step.
    pub(super) fn call_end_of_step(&self, step: u64) {
        if let Some(end_of_step) = &self.end_of_step {
            let frozen = self.frozen_model(step);
            let model = frozen.as_ref().unwrap_or_else(|| self.model());
            end_of_step(model, self.config.accumulate);
        }
    }

    /// Names the first gradient that is not finite, if the norm is not.
    fn norm_reason(&self, norm: f32, grads: &GradientsParams) -> Option<SkipReason> {
        if norm.is_finite() {
            return None;
        }
        let mut norms = param_norms(self.model(), grads).into_iter();
        let bad = norms.find(|(_, norm)| !norm.is_finite());
        let name = bad.map_or_else(|| "the sum of all gradients".into(), |(name, _)| name);
        let text = format!("the gradient of {name} is not finite");
        Some(SkipReason::NotFinite(text))
    }

    /// Updates the weights by the gradients times their scale.
    fn update(&mut self, lr_factor: f64, grads: GradientsParams) {
        let learning_rates = self.groups.learning_rates(lr_factor);
        let model = self.model.take();
        self.model = model.map(|model| self.optimizer.step(learning_rates, model, grads));
    }

    /// Launches the update, which the device skips if a value is not finite.
    fn launch_update(&mut self, lr_factor: f64, grads: GradientsParams, control: &UpdateControl) {
        let learning_rates = self.groups.learning_rates(lr_factor);
        let (updates, optimizer) = (&self.grad_scale.updates, &mut self.optimizer);
        let model = self.model.take();
        self.model =
            model.map(|model| updates.step(optimizer, learning_rates, model, grads, control));
    }

    /// After [`Self::launch_update`] of a step that is skipped: the device has changed nothing.
    fn undo_update(&mut self, lr_factor: f64, grads: &GradientsParams) {
        let learning_rates = self.groups.learning_rates(lr_factor);
        let (updates, optimizer) = (&self.grad_scale.updates, &mut self.optimizer);
        let model = self.model.take();
        self.model = model.map(|model| updates.undo(optimizer, learning_rates, model, grads));
    }

    /// Counts a skipped step and restores the running statistics.
    fn skip(&mut self, start: &ParamValues, reason: &SkipReason) -> Result<(), TrainError> {
        self.skipped += 1;
        if !start.is_empty() {
            // `valid` merges the statistics of the last forward pass, which are then replaced.
            self.model().valid();
            self.model = Some(start.restore(self.model().clone()));
        }
        let SkipReason::NotFinite(reason) = reason else {
            return Ok(());
        };
        self.skipped_in_row += 1;
        if self.skipped_in_row >= self.config.max_skipped.max(1) {
            return Err(TrainError::Diverged {
                step: self.step,
                count: self.skipped_in_row,
                reason: reason.clone(),
            });
        }
        Ok(())
    }
}
