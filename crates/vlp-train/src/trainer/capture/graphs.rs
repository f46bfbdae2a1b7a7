//! The recorded graphs of a trainer.

use std::any::Any;
use std::collections::HashSet;
use std::thread::ThreadId;

use burn::module::{Module, ParamId};
use burn::optim::ModuleOptimizer;
use burn::tensor::{DType, Shape};
use vlp_ops::capture::{StepGraph, Value};
use vlp_ops::{InPlace, UpdateControl};

use super::super::StepOutcome;
use super::StepInputs;
use crate::ema::Ema;
use crate::param_values::ParamValues;
use crate::update_list::ListedSteps;

/// Maximum number of graphs that are kept: a graph holds all memory of a step.
const MAX_GRAPHS: usize = 4;
/// Maximum number of recordings: after so many, the shapes vary too much for recording to be worthwhile.
const MAX_RECORDINGS: usize = 4 * MAX_GRAPHS;
/// Maximum number of keys that are remembered.
const MAX_KEYS: usize = 64;
/// Number of a key's first steps that may copy values to the CPU: a dictionary is initialized from data in the first step, and
/// asks in the second one whether it is the first.
const MAX_COPYING_STEPS: usize = 2;
/// Greatest difference of a replay's losses and norm from those without a graph, as a fraction: sums may be added in another
/// order. A copy of other values than those of the step would change them by much more.
const TOLERANCE: f32 = 1e-3;

/// The key of a micro-batch, and types and shapes of its tensors.
type Signature = (Vec<usize>, Vec<(DType, Shape)>);

/// What a graph is recorded for.
#[derive(Debug, PartialEq)]
pub(super) struct Key {
    frozen_groups: usize,
    /// Of each micro-batch.
    inputs: Vec<Signature>,
    thread: ThreadId,
}

impl Key {
    pub(super) fn new(frozen_groups: usize, inputs: &[StepInputs]) -> Self {
        let signatures = |inputs: &StepInputs| {
            let signatures = inputs.values.iter().map(Value::signature);
            (inputs.key.clone(), signatures.collect())
        };
        Self {
            frozen_groups,
            inputs: inputs.iter().map(signatures).collect(),
            thread: std::thread::current().id(),
        }
    }
}

/// How the next step of a key runs.
pub(super) enum Plan {
    /// Without a graph.
    Observe,
    /// Without a graph, after one has been recorded with these numbers of dropout seeds.
    Record(Vec<usize>),
    /// Without a graph, compared with a replay that changes nothing.
    Compare,
    Replay,
    /// Without a graph, for this reason.
    Refused(String),
}

pub(in crate::trainer) enum Graph<M: Module> {
    /// No step has run, or so many that copied values to the CPU.
    New(usize),
    /// A step has run, whose micro-batches took these numbers of dropout seeds.
    Observed(Vec<usize>),
    Recorded(Box<Recorded<M>>),
    Refused(String),
}

/// A recorded step.
pub(in crate::trainer) struct Recorded<M: Module> {
    pub(super) graph: StepGraph,
    /// Whether its losses have been compared with those of a step without a graph.
    pub(super) is_compared: bool,
    /// Number of dropout seeds of each micro-batch.
    pub(super) seeds: Vec<usize>,
    /// The updates, with learning rates for a factor of 1.
    pub(super) updates: ListedSteps,
    /// Whether the numbers of the updates are those of the next step.
    pub(super) has_numbers: bool,
    /// The updated parameters.
    pub(super) params: HashSet<ParamId>,
    /// Number of values that each micro-batch reports.
    pub(super) values: Vec<usize>,
    /// `Vec<T>` of the micro-batches' outputs.
    pub(super) outputs: Box<dyn Any + Send>,
    /// The tensors that the graph reads and writes.
    pub(super) _states: (M, ModuleOptimizer, Option<Ema<M>>, ParamValues),
}

/// The graphs, and how often they were used.
pub(in crate::trainer) struct Graphs<M: Module> {
    /// The most recently used last.
    entries: Vec<(Key, Graph<M>)>,
    pub(super) in_place: InPlace,
    /// Updates by replays of the last entry that the optimizer has not counted.
    pub(super) uncounted: usize,
    attempts: usize,
    recordings: usize,
    pub(super) replays: usize,
    fallbacks: Vec<(String, usize)>,
}

/// How the steps of a trainer ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepCaptureReport {
    /// Graphs recorded.
    pub recordings: usize,
    /// Steps that were replayed.
    pub replays: usize,
    /// Why steps ran without a graph, and how many for each reason; steps before a recording have none.
    pub fallbacks: Vec<(String, usize)>,
}

impl<M: Module> Default for Graphs<M> {
    fn default() -> Self {
        Self {
            entries: vec![],
            in_place: InPlace::default(),
            uncounted: 0,
            attempts: 0,
            recordings: 0,
            replays: 0,
            fallbacks: vec![],
        }
    }
}

impl<M: Module> Graphs<M> {
    /// Whether tensors must stay where they lie.
    pub(in crate::trainer) fn exist(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|(_, graph)| matches!(graph, Graph::Recorded(_)))
    }

    /// The control as it must be while there are graphs.
    pub(in crate::trainer) fn control(&self, control: UpdateControl) -> UpdateControl {
        match self.exist() {
            true => control.in_place(&self.in_place),
            false => control,
        }
    }

    /// Updates in place that always take place, on the module's device.
    pub(super) fn always(&self, model: &M) -> UpdateControl {
        let devices = model.devices();
        let device = devices.first().cloned().unwrap_or_default();
        UpdateControl::always(&device.inner()).in_place(&self.in_place)
    }

    /// Whether the last entry has this key.
    pub(super) fn is_current(&self, key: &Key) -> bool {
        self.entries.last().is_some_and(|(last, _)| last == key)
    }

    /// Moves the entry of `key`, which may be new, to the end, and says how its next step runs.
    pub(super) fn choose(&mut self, key: Key) -> Plan {
        if self.in_place.has_moved() {
            self.drop_recorded();
        }
        let position = self.entries.iter().position(|(other, _)| *other == key);
        let entry = match position {
            Some(index) => self.entries.remove(index),
            None => (key, Graph::New(0)),
        };
        self.entries.push(entry);
        if self.entries.len() > MAX_KEYS {
            self.entries.remove(0);
        }
        match self.entries.last().map(|(_, graph)| graph) {
            None | Some(Graph::New(_)) => Plan::Observe,
            Some(Graph::Observed(_)) if self.attempts == MAX_RECORDINGS => {
                Plan::Refused(format!("more than {MAX_RECORDINGS} shapes"))
            }
            Some(Graph::Observed(seeds)) => Plan::Record(seeds.clone()),
            Some(Graph::Recorded(recorded)) if recorded.is_compared => Plan::Replay,
            Some(Graph::Recorded(_)) => Plan::Compare,
            Some(Graph::Refused(reason)) => Plan::Refused(reason.clone()),
        }
    }

    /// Counts an attempt to record, and drops the least recently used graph if there is none to spare.
    pub(super) fn start_recording(&mut self) {
        self.attempts += 1;
        let is_graph = |graph: &Graph<M>| matches!(graph, Graph::Recorded(_));
        let count = self
            .entries
            .iter()
            .filter(|(_, graph)| is_graph(graph))
            .count();
        if count < MAX_GRAPHS {
            return;
        }
        let mut graphs = self.entries.iter_mut().map(|(_, graph)| graph);
        if let Some(graph) = graphs.find(|graph| is_graph(graph)) {
            *graph = Graph::New(0);
        }
    }

    /// Drops all graphs: the tensors that they write are replaced.
    pub(super) fn drop_recorded(&mut self) {
        for (_, graph) in &mut self.entries {
            if let Graph::Recorded(_) = graph {
                *graph = Graph::New(0);
            }
        }
        self.in_place = InPlace::default();
    }

    /// After a step whose losses were computed from values on the CPU.
    pub(super) fn observe_copies(&mut self) {
        let steps = match self.entries.last() {
            Some((_, Graph::New(steps))) => steps + 1,
            _ => 1,
        };
        self.set(match steps > MAX_COPYING_STEPS {
            true => Graph::Refused("the losses are computed from values on the CPU".into()),
            false => Graph::New(steps),
        });
    }

    /// Replaces the last entry's graph.
    pub(super) fn set(&mut self, graph: Graph<M>) {
        if let Graph::Recorded(_) = graph {
            self.recordings += 1;
        }
        if let Some((_, last)) = self.entries.last_mut() {
            *last = graph;
        }
    }

    /// The last entry's graph, if it is recorded.
    pub(super) fn recorded(&mut self) -> Option<&mut Recorded<M>> {
        match self.entries.last_mut() {
            Some((_, Graph::Recorded(recorded))) => Some(recorded),
            _ => None,
        }
    }

    /// The parameters that the last entry's graph updates.
    pub(super) fn params(&self) -> Option<&HashSet<ParamId>> {
        match self.entries.last() {
            Some((_, Graph::Recorded(recorded))) => Some(&recorded.params),
            _ => None,
        }
    }

    /// The numbers of updates in every graph are those of an earlier step.
    pub(super) fn forget_numbers(&mut self) {
        for (_, graph) in &mut self.entries {
            if let Graph::Recorded(recorded) = graph {
                recorded.has_numbers = false;
            }
        }
    }

    /// Compares the values of a replay with those of the same step without a graph.
    pub(super) fn compare<T>(
        &mut self,
        replayed: Result<Vec<f32>, String>,
        (report, outputs): &StepOutcome<T>,
    ) {
        if report.skipped.is_some() {
            return;
        }
        let values = outputs.iter().flat_map(|(_, values)| values).copied();
        let values: Vec<f32> = values.chain([report.grad_norm]).collect();
        let is_close =
            |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(TOLERANCE);
        let reason = match replayed {
            Ok(replayed) if replayed.len() == values.len() => {
                let differ = replayed.iter().zip(&values).find(|pair| !is_close(*pair));
                differ.map(|(a, b)| format!("its replay gives {a} instead of {b}"))
            }
            Ok(_) => Some("its replay gives another number of values".into()),
            Err(reason) => Some(reason),
        };
        match (reason, self.recorded()) {
            (Some(reason), _) => self.set(Graph::Refused(reason)),
            (None, Some(recorded)) => recorded.is_compared = true,
            (None, None) => {}
        }
    }

    /// Counts a step without a graph, and prints a new reason.
    pub(super) fn fall_back(&mut self, reason: &str) {
        match self.fallbacks.iter_mut().find(|(other, _)| other == reason) {
            Some((_, count)) => *count += 1,
            None => {
                eprintln!("note: training step: not recorded as a graph: {reason}");
                self.fallbacks.push((reason.to_owned(), 1));
            }
        }
    }

    pub(super) fn report(&self) -> StepCaptureReport {
        StepCaptureReport {
            recordings: self.recordings,
            replays: self.replays,
            fallbacks: self.fallbacks.clone(),
        }
    }
}
