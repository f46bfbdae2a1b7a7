//! Forward and backward passes of the micro-batches of one process.

use burn::module::Module;
use burn::optim::GradientsParams;
use vlp_distributed::TreeSum;
use vlp_ops::params::copy_leaves;
use vlp_ops::{dropout_seed_count, run_concurrently, seed_random, split_mix, with_micro_batch};

use super::micro_batch::{BatchLoss, MicroBatch, backward};
use super::step_sum::{Statistics, StepSum};
use super::{SkipReason, Trainer};
use crate::error::TrainError;
use crate::param_values::ParamValues;

/// Micro-batches after their backward passes, and their sums: those of one process, or of all.
pub(super) struct Accumulated<T> {
    /// The micro-batches, of one process up to the first whose loss is not finite.
    pub(super) batches: Vec<MicroBatch<T>>,
    /// Sums at the nodes of the tree, of all processes one; none after a loss that is not finite.
    pub(super) sums: Vec<StepSum>,
}

impl<M: Module> Trainer<M> {
    /// The running statistics at the start of a step.
    pub(super) fn start_statistics(&self) -> ParamValues {
        ParamValues::collect(&self.model().valid(), "running_")
    }

    /// Runs the micro-batches one after another, each from the statistics at the start of the step.
    pub(super) fn run_in_sequence<E, T>(
        &self,
        seed: u64,
        start: &ParamValues,
        mut loss: impl FnMut(&M, usize) -> Result<BatchLoss<T>, E>,
    ) -> Result<Accumulated<T>, E> {
        let frozen = self.frozen_model(self.step);
        let model = frozen.as_ref().unwrap_or_else(|| self.model());
        let count = self.config.accumulate;
        let mut tree = TreeSum::new(count, self.micro_batches());
        let mut batches = vec![];
        for index in self.micro_batches() {
            self.seed_micro_batch(seed, index);
            let run = || Ok::<_, E>(backward(loss(model, index)?, model, count));
            let (batch, grads) = with_micro_batch(index, count, run)?;
            let is_finite = !is_not_finite(&batch);
            batches.push(batch);
            let statistics = (count > 1 && !start.is_empty()).then(|| {
                let after = ParamValues::collect(&model.valid(), "running_");
                start.restore(model.clone());
                Statistics::since(start, after, model)
            });
            if !is_finite {
                let sums = vec![];
                return Ok(Accumulated { batches, sums });
            }
            let sum = StepSum { grads, statistics };
            tree.push(sum, |left, right| left.add(right, model));
        }
        let sums = tree.finish();
        Ok(Accumulated { batches, sums })
    }

    /// Seeds the random numbers of a micro-batch of the current step.
    pub(super) fn seed_micro_batch(&self, seed: u64, index: usize) {
        if let Some(device) = self.model().devices().first() {
            let number = self.step * self.config.accumulate as u64 + index as u64;
            seed_random(device, split_mix(seed, number));
        }
    }

    /// Runs both micro-batches of a step at the same time, each on a copy of the module with an autodiff graph of its own.
    ///
    /// # Errors
    /// Those of `loss`, and [`TrainError::Config`] for a loss with dropout: both threads would draw from one random stream.
    pub(super) fn run_halves<E: From<TrainError> + Send, T: Send>(
        &self,
        start: &ParamValues,
        loss: impl Fn(&M, usize) -> Result<BatchLoss<T>, E> + Sync,
    ) -> Result<Accumulated<T>, E> {
        let frozen = self.frozen_model(self.step);
        let model = frozen.as_ref().unwrap_or_else(|| self.model());
        let run = |model: M, index: usize| {
            let seeds = dropout_seed_count();
            let run = || Ok::<_, E>(backward(loss(&model, index)?, &model, 2));
            let output = with_micro_batch(index, 2, run)?;
            match dropout_seed_count() == seeds {
                true => Ok(output),
                false => Err(E::from(TrainError::Config {
                    key: "data_parallel_halves".into(),
                    value: "true".into(),
                    hint: "the loss has dropout, whose random numbers depend on the order of the threads: use false".into(),
                })),
            }
        };
        let (first, second) = (copy_leaves(model), copy_leaves(model));
        let (first, second) = run_concurrently(|| run(first, 0), || run(second, 1));
        let ((first, first_grads), (second, second_grads)) = (first?, second?);
        let is_finite = !is_not_finite(&first) && !is_not_finite(&second);
        let batches = vec![first, second];
        if !is_finite {
            let sums = vec![];
            return Ok(Accumulated { batches, sums });
        }
        let only_grads = |grads: Option<GradientsParams>| StepSum {
            grads,
            statistics: None,
        };
        let mut sum = only_grads(first_grads).add(only_grads(second_grads), model);
        if !start.is_empty() {
            // The copies share the statistics, which are now the means of both: half of their sum, exactly.
            let mean = ParamValues::collect(&model.valid(), "running_");
            let mut statistics = Statistics::since(start, mean, model);
            statistics.sums = statistics.sums.add(&statistics.sums, model);
            sum.statistics = Some(statistics);
        }
        let sums = vec![sum];
        Ok(Accumulated { batches, sums })
    }

    /// The module with the groups frozen whose `frozen_until` is after `step`; `None` if there are none.
    pub(super) fn frozen_model(&self, step: u64) -> Option<M> {
        let groups = self.groups.frozen(step, self.config.steps);
        (!groups.is_empty()).then(|| {
            let model = self.model().clone();
            (groups.into_iter()).fold(model, |model, group| model.freeze_group(group))
        })
    }
}

fn is_not_finite<T>(batch: &MicroBatch<T>) -> bool {
    matches!(batch.reason, Some(SkipReason::NotFinite(_)))
}
