//! Steps as recorded graphs: a GPU replays forward and backward passes, clipping and update of a step, and the CPU launches one
//! graph instead of thousands of kernels.
//!
//! The first step of a key and shapes runs without a graph. Before the second one a graph is recorded, the third one compares
//! the losses of both, and later ones replay the graph. Steps of a key that read values from the device in their middle do not
//! count: there may be two of them. Needed as long as burn records no training steps.

mod backup;
mod graphs;
mod record;
mod replay;

use std::fmt::Display;

use burn::module::Module;
use serde::Serialize;
use serde::de::DeserializeOwned;
use vlp_ops::capture::Value;
use vlp_ops::{copies_to_cpu, dropout_seed_count};

use super::{BatchLoss, StepOutcome, Trainer};
use crate::error::TrainError;
use crate::param_values::ParamValues;
pub use graphs::StepCaptureReport;
pub(super) use graphs::{Graph, Graphs};
use graphs::{Key, Plan};

/// What the loss of a micro-batch depends on in addition to the module.
#[derive(Debug, Clone, Default)]
pub struct StepInputs {
    /// Its tensors, without autodiff.
    pub values: Vec<Value>,
    /// Numbers that determine everything else: a graph is replayed only for equal ones.
    pub key: Vec<usize>,
}

/// How the loss has behaved in a step without a graph.
#[derive(Debug, Default)]
struct Observed {
    /// Number of dropout seeds of each micro-batch.
    seeds: Vec<usize>,
    /// Whether it has copied values to the CPU.
    copies: bool,
}

impl<M: Module> Trainer<M> {
    /// As [`Self::step_with_outputs`] with one micro-batch after another, for a loss of tensors: `inputs` are those of
    /// [`Self::micro_batches`]. With
    /// [`TrainerConfig::capture`](super::TrainerConfig::capture) a GPU replays recorded steps. Then `loss` is not called, and
    /// the outputs are those of the recorded step; weights are bit-identical to those without graphs.
    ///
    /// The loss must depend on nothing that differs from step to step but its inputs. Dropout layers of `vlp-ops` may be
    /// random.
    ///
    /// # Errors
    /// As [`Self::step`], and [`TrainError::Replay`].
    pub fn step_with_inputs<E, T>(
        &mut self,
        seed: u64,
        inputs: &[StepInputs],
        loss: impl Fn(&M, usize, &[Value]) -> Result<BatchLoss<T>, E>,
    ) -> Result<StepOutcome<T>, E>
    where
        E: From<TrainError> + Display,
        T: Serialize + DeserializeOwned + Clone + Send + 'static,
    {
        let first = self.micro_batches().start;
        let eager = |model: &M, index: usize| {
            let values = inputs.get(index - first).map_or(&[][..], |i| &i.values);
            loss(model, index, values)
        };
        if !self.config.capture {
            return Ok(self.step_without_graph(seed, eager)?.0);
        }
        if let Some(reason) = self.cannot_capture() {
            self.graphs.fall_back(reason);
            return Ok(self.step_without_graph(seed, eager)?.0);
        }
        match self.choose_graph(Key::new(self.frozen_groups(), inputs)) {
            Plan::Observe => {
                let (outcome, observed) = self.step_without_graph(seed, eager)?;
                if observed.copies {
                    self.graphs.observe_copies();
                } else if outcome.0.skipped.is_none() {
                    self.graphs.set(Graph::Observed(observed.seeds));
                }
                Ok(outcome)
            }
            Plan::Record(seeds) => {
                let graph = self.record(seed, inputs, seeds, &loss);
                self.graphs.set(graph);
                Ok(self.step_without_graph(seed, eager)?.0)
            }
            Plan::Compare => {
                let replayed = self.replay(seed, inputs, false);
                if let Err(reason) = &replayed {
                    self.release_weights(seed, inputs, reason)?;
                }
                let outcome = self.step_without_graph(seed, eager)?.0;
                self.graphs.compare(replayed, &outcome);
                Ok(outcome)
            }
            Plan::Replay => match self.replay(seed, inputs, true) {
                Ok(values) if values.iter().all(|value| value.is_finite()) => {
                    Ok(self.finish_replay(&values))
                }
                // The graph has changed nothing. The same step without it says what is not finite.
                Ok(_) => Ok(self.step_without_graph(seed, eager)?.0),
                Err(reason) => {
                    self.release_weights(seed, inputs, &reason)?;
                    self.graphs.fall_back(&reason);
                    self.count_replays();
                    self.graphs.set(Graph::Refused(reason));
                    Ok(self.step_without_graph(seed, eager)?.0)
                }
            },
            Plan::Refused(reason) => {
                self.graphs.fall_back(&reason);
                Ok(self.step_without_graph(seed, eager)?.0)
            }
        }
    }

    /// How many steps were replayed, and why others were not; all zero without
    /// [`TrainerConfig::capture`](super::TrainerConfig::capture).
    pub fn capture_report(&self) -> StepCaptureReport {
        self.graphs.report()
    }

    /// Why no step can be recorded.
    fn cannot_capture(&self) -> Option<&'static str> {
        if !self.defers_reads {
            return Some("the CPU has no graphs");
        }
        let is_shared = self.processes.world_size() > 1;
        is_shared.then_some("several processes exchange gradients through the CPU")
    }

    /// Number of groups that are frozen in this step. Groups are only ever unfrozen, so it determines them.
    fn frozen_groups(&self) -> usize {
        self.groups.frozen(self.step, self.config.steps).len()
    }

    /// A step without a graph, on this thread alone, whose tensors stay where they lie.
    fn step_without_graph<E, T>(
        &mut self,
        seed: u64,
        loss: impl Fn(&M, usize) -> Result<BatchLoss<T>, E>,
    ) -> Result<(StepOutcome<T>, Observed), E>
    where
        E: From<TrainError> + Display,
        T: Serialize + DeserializeOwned,
    {
        self.count_replays();
        let statistics = self.start_statistics();
        let mut observed = Observed::default();
        let run = self.run_in_sequence(seed, &statistics, |model, index| {
            let (seeds, copies) = (dropout_seed_count(), copies_to_cpu());
            let loss = loss(model, index);
            observed.seeds.push(dropout_seed_count() - seeds);
            observed.copies |= copies_to_cpu() > copies;
            loss
        });
        Ok((self.finish_step(&statistics, run)?, observed))
    }

    /// After a step without a graph that began with `start`: graphs read the running statistics where these lie.
    pub(in crate::trainer) fn keep_statistics_in_place(&mut self, start: &ParamValues) {
        if start.is_empty() || !self.graphs.exist() {
            return;
        }
        let after = self.start_statistics();
        let pairs = start.changed_pairs(&after, self.model());
        vlp_ops::assign_all(pairs, &self.graphs.always(self.model()));
        self.model = Some(start.restore(self.model().clone()));
    }
}
