//! What the processes of a run exchange in a step: first the status of their micro-batches, then the sums.

use std::fmt::Display;

use burn::module::Module;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vlp_distributed::TreeReducer;

use super::accumulate::Accumulated;
use super::flat::{from_flat, has_grad, to_flat};
use super::micro_batch::MicroBatch;
use super::step_sum::{StepSum, either};
use super::step_values::{Unread, skip_reason};
use super::{SkipReason, Trainer};
use crate::error::TrainError;

/// The status of the micro-batches of a rank.
#[derive(Serialize, Deserialize)]
enum Status<T> {
    /// The error's message.
    Failed(String),
    Done {
        batches: Vec<BatchStatus<T>>,
        /// For each float parameter, whether it has a gradient.
        has_grad: Vec<bool>,
        /// For each float parameter, whether it is a running statistic that has changed; empty without statistics.
        changed: Vec<bool>,
    },
}

#[derive(Serialize, Deserialize)]
struct BatchStatus<T> {
    reason: Option<SkipReason>,
    names: Vec<String>,
    values: Vec<f32>,
    output: T,
}

/// Buffer that is reused in every step.
#[derive(Default)]
pub(super) struct Buffers {
    reducer: TreeReducer,
    /// The sums at the nodes of this process.
    flat: Vec<Vec<f32>>,
    total: Vec<f32>,
}

impl<M: Module> Trainer<M> {
    /// The micro-batches and the sum of all processes. All processes return the same errors and reasons to skip.
    pub(super) fn exchange<E, T>(
        &mut self,
        run: Result<Accumulated<T>, E>,
    ) -> Result<Accumulated<T>, E>
    where
        E: From<TrainError> + Display,
        T: Serialize + DeserializeOwned,
    {
        let (sums, status, error) = match run {
            Ok(run) => {
                let Accumulated { mut batches, sums } = run;
                Unread::new(&batches, None).read(&mut batches);
                let status = self.status(batches, &sums);
                (sums, status, None)
            }
            Err(error) => (vec![], Status::Failed(error.to_string()), Some(error)),
        };
        let statuses = self.gather(&status)?;
        if let Some(error) = error {
            return Err(error);
        }
        let (mut batches, mut grads, mut statistics) = (vec![], vec![], vec![]);
        for (rank, status) in statuses.into_iter().enumerate() {
            match status {
                Status::Failed(reason) => return Err(TrainError::Rank { rank, reason }.into()),
                Status::Done {
                    batches: rank_batches,
                    has_grad,
                    changed,
                } => {
                    batches.extend(rank_batches.into_iter().map(MicroBatch::from));
                    grads.push(has_grad);
                    statistics.push(changed);
                }
            }
        }
        let mut sum = StepSum::default();
        if skip_reason(&batches).is_none() {
            sum = self.sum_over_processes(&sums, &any(grads), any(statistics));
        }
        let sums = vec![sum];
        Ok(Accumulated { batches, sums })
    }

    fn status<T>(&self, batches: Vec<MicroBatch<T>>, sums: &[StepSum]) -> Status<T> {
        let model = self.model();
        let grads = sums.iter().map(|sum| has_grad(sum, model)).collect();
        let statistics = sums.iter().filter_map(|sum| sum.statistics.as_ref());
        let changed = statistics.map(|statistics| statistics.changed.clone());
        let batches = batches.into_iter().map(|batch| BatchStatus {
            reason: batch.reason,
            names: batch.names,
            values: batch.values,
            output: batch.output,
        });
        Status::Done {
            batches: batches.collect(),
            has_grad: any(grads),
            changed: any(changed.collect()),
        }
    }

    fn gather<T: Serialize + DeserializeOwned>(
        &self,
        status: &Status<T>,
    ) -> Result<Vec<Status<T>>, TrainError> {
        let encoded = rmp_serde::to_vec(status).map_err(|error| TrainError::Rank {
            rank: self.processes.rank(),
            reason: format!("an output cannot be encoded: {error}"),
        })?;
        let decode = |(rank, bytes): (usize, &Vec<u8>)| {
            rmp_serde::from_slice(bytes).map_err(|error| TrainError::Rank {
                rank,
                reason: format!("its message cannot be read: {error}"),
            })
        };
        let gathered = self.processes.all_gather(&encoded);
        gathered.iter().enumerate().map(decode).collect()
    }

    fn sum_over_processes(
        &mut self,
        sums: &[StepSum],
        has_grad: &[bool],
        changed: Vec<bool>,
    ) -> StepSum {
        let mut buffers = std::mem::take(&mut self.buffers);
        let Buffers {
            reducer,
            flat,
            total,
        } = &mut buffers;
        let model = self.model();
        flat.resize_with(sums.len(), Vec::new);
        for (flat, sum) in flat.iter_mut().zip(sums) {
            to_flat(sum, model, has_grad, flat);
        }
        total.resize(flat.first().map_or(0, Vec::len), 0.0);
        let micro_batches = self.config.accumulate;
        reducer.sum(&*self.processes, micro_batches, flat, total);
        let sum = from_flat(total, model, has_grad, changed);
        self.buffers = buffers;
        sum
    }
}

impl<T> From<BatchStatus<T>> for MicroBatch<T> {
    fn from(status: BatchStatus<T>) -> Self {
        Self {
            reason: status.reason,
            names: status.names,
            unread: None,
            values: status.values,
            output: status.output,
        }
    }
}

/// Elementwise OR over all processes.
fn any(flags: Vec<Vec<bool>>) -> Vec<bool> {
    let flags = flags.into_iter().filter(|flags| !flags.is_empty());
    let any = flags.reduce(|left, right| either(&left, &right));
    any.unwrap_or_default()
}
