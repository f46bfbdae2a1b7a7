//! Records a step.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Display;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::prelude::*;
use vlp_ops::capture::{StepGraph, Value};
use vlp_ops::{
    AdamWStep, SgdStep, UpdateControl, assign_all, update_constants, with_dropout_seeds,
};

use super::super::accumulate::Accumulated;
use super::super::micro_batch::MicroBatch;
use super::super::step_values::Unread;
use super::super::{BatchLoss, Trainer};
use super::StepInputs;
use super::graphs::{Graph, Recorded};
use crate::grads::norm_on_device;
use crate::param_values::ParamValues;
use crate::update_list::{ListedSteps, param_ids};

/// What a graph reads in addition to the micro-batches' tensors.
pub(super) struct ControlInputs {
    /// `[1 + constants of AdamW + constants of SGD]`; the first is 0, or infinite if nothing may change.
    floats: Vec<f32>,
    /// Two numbers for each dropout layer.
    seeds: Vec<i32>,
}

impl ControlInputs {
    /// `rows` is the number of rows of constants for each optimizer.
    pub(super) fn new(
        is_active: bool,
        rows: usize,
        (adamw, sgd): (&[AdamWStep], &[SgdStep]),
        mut seeds: Vec<i32>,
    ) -> Self {
        let [mut adamw, mut sgd] = update_constants(adamw, sgd);
        let [adamw_length, sgd_length] = constant_counts(rows);
        adamw.resize(adamw_length, 0.0);
        sgd.resize(sgd_length, 0.0);
        let guard = if is_active { 0.0 } else { f32::INFINITY };
        if seeds.is_empty() {
            seeds = vec![0, 0];
        }
        Self {
            floats: [vec![guard], adamw, sgd].concat(),
            seeds,
        }
    }

    pub(super) fn values(&self, device: &Device) -> [Value; 2] {
        let floats = Tensor::<1>::from_floats(self.floats.as_slice(), device);
        let seeds = Tensor::<1, Int>::from_ints(self.seeds.as_slice(), device);
        [floats.into(), seeds.into()]
    }
}

/// Number of constants of AdamW and of SGD for so many parameters.
fn constant_counts(rows: usize) -> [usize; 2] {
    let (adamw, sgd) = ([AdamWStep::default()], [SgdStep::default()]);
    update_constants(&adamw, &sgd).map(|row| rows * row.len())
}

/// What a call of the recorded function has done.
struct Call<T> {
    updates: ListedSteps,
    params: HashSet<ParamId>,
    values: Vec<usize>,
    outputs: Vec<T>,
}

/// A call, its outputs, and the tensors that it has written into.
type Run<T> = (Call<T>, Vec<Value>, Vec<Value>);

fn value_count<T>(batch: &MicroBatch<T>) -> usize {
    batch.unread.as_ref().map_or(0, |values| values.dims()[0])
}

impl<M: Module> Trainer<M> {
    /// Number of float parameters and buffers.
    pub(super) fn param_count(&self) -> usize {
        struct Count(usize);
        impl ModuleVisitor for Count {
            fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
                self.0 += 1;
            }
        }
        let mut count = Count(0);
        self.model().visit(&mut count);
        count.0
    }

    /// A graph of the current step, which is not made: nothing changes.
    pub(super) fn record<E: Display, T: Clone + Send + 'static>(
        &mut self,
        seed: u64,
        inputs: &[StepInputs],
        seeds: Vec<usize>,
        loss: &impl Fn(&M, usize, &[Value]) -> Result<BatchLoss<T>, E>,
    ) -> Graph<M> {
        let Some(device) = self.model().devices().first().cloned() else {
            return Graph::Refused("the module has no parameters".into());
        };
        if inputs.iter().any(|inputs| inputs.values.is_empty()) {
            return Graph::Refused("a micro-batch has no tensors".into());
        }
        let device = device.inner();
        self.graphs.start_recording();
        let start = self.start_statistics();
        let zeros = vec![0; 2 * seeds.iter().sum::<usize>()];
        let control = ControlInputs::new(false, self.param_count(), (&[], &[]), zeros);
        let mut values: Vec<Value> = control.values(&device).into();
        values.extend(inputs.iter().flat_map(|inputs| inputs.values.clone()));
        let counts: Vec<usize> = inputs.iter().map(|inputs| inputs.values.len()).collect();
        let backup = self.backup();
        let last_call = RefCell::new(None);
        let graph = StepGraph::record(&device, &values, |slots| {
            let (call, outputs, written) =
                self.recorded_run(seed, &start, slots, (&counts, &seeds), loss)?;
            last_call.replace(Some(call));
            Ok((outputs, written))
        });
        self.grad_scale.updates.end();
        // Whatever the last call has left; `valid` merges the statistics of this thread.
        self.model().valid();
        self.model = Some(start.restore(self.model().clone()));
        let has_moved = self.graphs.in_place.has_moved();
        let recorded = graph.and_then(|graph| match last_call.take().filter(|_| !has_moved) {
            Some(call) => Ok((graph, call)),
            None => Err("the layout of a parameter has gaps".into()),
        });
        let (graph, call) = match recorded {
            Ok(recorded) => recorded,
            Err(reason) => {
                self.graphs.drop_recorded();
                self.restore_backup(backup);
                return Graph::Refused(reason);
            }
        };
        let states = (
            self.model().clone(),
            self.optimizer.clone(),
            self.ema.clone(),
            start,
        );
        Graph::Recorded(Box::new(Recorded {
            graph,
            is_compared: false,
            seeds,
            updates: call.updates,
            has_numbers: true,
            params: call.params,
            values: call.values,
            outputs: Box::new(call.outputs),
            _states: states,
        }))
    }

    /// A step from the tensors of `slots`, on clones of module, optimizer and average, whose tensors it updates in place.
    /// Returns its outputs too, and the tensors that it has written into.
    fn recorded_run<E: Display, T>(
        &self,
        seed: u64,
        start: &ParamValues,
        slots: &[Value],
        (counts, seeds): (&[usize], &[usize]),
        loss: &impl Fn(&M, usize, &[Value]) -> Result<BatchLoss<T>, E>,
    ) -> Result<Run<T>, String> {
        let [floats, table, values @ ..] = slots else {
            return Err("it has no inputs".into());
        };
        let first = self.micro_batches().start;
        let values_of = |index: usize| {
            let start: usize = counts[..index - first].iter().sum();
            &values[start..start + counts[index - first]]
        };
        let run = || {
            self.run_in_sequence(seed, start, |model, index| {
                loss(model, index, values_of(index))
            })
        };
        let (run, taken) = with_dropout_seeds(table.tensor(), run);
        let Accumulated { batches, sums } = run.map_err(|error: E| error.to_string())?;
        if taken != seeds.iter().sum::<usize>() {
            return Err("the number of its dropout layers varies".into());
        }
        if let Some(reason) = batches.iter().find_map(|batch| batch.reason.as_ref()) {
            return Err(reason.to_string());
        }
        let sum = sums.into_iter().next().unwrap_or_default();
        let grads = sum.grads.ok_or("no loss has a gradient")?;
        let params = param_ids(self.model(), &grads);
        let norm = norm_on_device(self.model(), &grads);
        let unread = Unread::new(&batches, norm).with_norm();
        let unread = unread.ok_or("there are no gradients")?;
        let control = self.recorded_control(&floats.tensor(), unread.clone());
        let mut optimizer = self.optimizer.clone();
        let (model, mut updates) = self.grad_scale.updates.step_and_list(
            &mut optimizer,
            self.groups.learning_rates(1.0),
            self.model().clone(),
            grads,
            &control,
        );
        if updates.has_new_states {
            return Err("a parameter has no moments yet".into());
        }
        let mut written = std::mem::take(&mut updates.results);
        // Modules share their running statistics with their clones.
        let means = self.with_mean_statistics(sum.statistics.as_ref());
        self.call_end_of_step(self.step);
        let after = ParamValues::collect(&means.valid(), "running_");
        if let Some(mut ema) = self.ema.clone() {
            written.extend(ema.update_if(&model, Some(&control)));
        }
        let pairs = start.changed_pairs(&after, self.model());
        written.extend(assign_all(pairs, &control));
        start.restore(self.model().clone());
        let call = Call {
            updates,
            params,
            values: batches.iter().map(value_count).collect(),
            outputs: batches.into_iter().map(|batch| batch.output).collect(),
        };
        Ok((call, vec![unread.into()], written))
    }

    /// The control of a recorded update, from the floats of [`ControlInputs`] and from the values that the step reads.
    fn recorded_control(&self, floats: &Tensor<1>, unread: Tensor<1>) -> UpdateControl {
        let [adamw_length, sgd_length] = constant_counts(self.param_count());
        let part = |start: usize, length: usize| floats.clone().slice(start..start + length);
        let guarded = Tensor::cat(vec![part(0, 1), unread], 0);
        let max_norm = self.config.optimizer.clip_norm as f32;
        let adamw = part(1, adamw_length);
        let sgd = part(1 + adamw_length, sgd_length);
        UpdateControl::new(guarded, max_norm)
            .in_place(&self.graphs.in_place)
            .with_constants(adamw, sgd)
    }
}
