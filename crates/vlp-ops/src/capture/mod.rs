//! Functions that are recorded once for each shape of their inputs and replayed (CUDA graphs).

#[cfg(feature = "gpu")]
mod in_place;
#[cfg(feature = "gpu")]
mod recording;
mod step;
mod value;

use std::fmt;
use std::thread::ThreadId;

use burn::prelude::*;
use burn::tensor::kind::Basic;
use burn::tensor::{DType, Shape};

pub use step::StepGraph;
pub use value::Value;

/// Maximum number of graphs that are kept: a graph holds all memory of a run.
#[cfg(feature = "gpu")]
const MAX_GRAPHS: usize = 4;
/// Maximum number of recordings: after so many, the shapes vary too much for recording to be worthwhile.
#[cfg(feature = "gpu")]
const MAX_RECORDINGS: usize = 4 * MAX_GRAPHS;
/// Maximum number of shapes that are remembered.
const MAX_SHAPES: usize = 64;

/// Keeps a cached tensor as long as the graph that this thread is recording, if any: the graph still reads the tensor's
/// buffer after the cache has dropped the tensor.
#[allow(unused_variables, reason = "the CPU records no graphs")]
pub fn keep_for_graph<const D: usize, K: Basic>(tensor: &Tensor<D, K>) {
    gpu_path! {
        recording::keep(|| tensor.clone().into());
    }
}

/// A tensor with its own memory, without autodiff.
pub fn copy_tensor<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    let tensor = tensor.clone().without_autodiff();
    gpu_path! {
        if !crate::is_cpu(&tensor.device()) {
            return in_place::copy(&tensor.into()).into_tensor();
        }
    }
    // Nothing writes into a tensor of the CPU that has another owner.
    tensor
}

type Function<A, E> = dyn Fn(&A, &[Value]) -> Result<Vec<Value>, E> + Send + Sync;

/// A function of tensors that a GPU runs as one recorded graph, so that the CPU does not launch each of its kernels.
///
/// The first call with new arguments and shapes runs the function, the second one records it, later ones copy their inputs
/// into the graph's buffers and replay it. Results are bit-identical. If there are too many graphs, the least recently used
/// one is dropped. Functions run without a graph on the CPU, if there are too many shapes, and if they copy from the device;
/// each reason is printed once and counted.
///
/// A tensor that the function reads must be one of its inputs, be owned by it and never change, such as the weights of
/// a model, or be a cached tensor that is [kept](keep_for_graph); `args` must determine everything else that its result
/// depends on. The function must not be random, and must not copy values to the device except for
/// [constants](crate::constant_floats): wgpu refuses to record that, and CUDA would copy the recorded values again. A
/// graph belongs to the thread that recorded it.
pub struct Captured<A, E> {
    name: &'static str,
    device: Device,
    function: Box<Function<A, E>>,
    /// The most recently used last.
    entries: Vec<Entry<A>>,
    counts: CaptureCounts,
    fallbacks: Vec<(String, usize)>,
}

/// How often a [`Captured`] function ran in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureCounts {
    /// Calls with arguments and shapes that were new.
    pub first_calls: usize,
    /// Graphs recorded.
    pub recordings: usize,
    /// Calls that replayed a graph, including those that recorded it.
    pub replays: usize,
    /// Calls that ran without a graph for one of [`CaptureReport::fallbacks`].
    pub fallbacks: usize,
}

/// How a [`Captured`] function was run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaptureReport {
    /// Name of the function.
    pub name: &'static str,
    /// Number of calls by the way they ran.
    pub counts: CaptureCounts,
    /// Why calls ran without a graph, and how many for each reason.
    pub fallbacks: Vec<(String, usize)>,
}

#[derive(PartialEq)]
struct Key<A> {
    args: A,
    states: usize,
    signatures: Vec<(DType, Shape)>,
    thread: ThreadId,
}

struct Entry<A> {
    key: Key<A>,
    graph: Graph,
}

enum Graph {
    /// Called once, without a graph.
    Unrecorded,
    #[cfg(feature = "gpu")]
    Recorded(Box<recording::Recording>),
    Refused(String),
}

impl<A: Clone + PartialEq + 'static, E: 'static> Captured<A, E> {
    /// A function of tensors on `device`; `name` is for messages. States, if any, are the last of its inputs and of its
    /// results.
    pub fn new(
        name: &'static str,
        device: &Device,
        function: impl Fn(&A, &[Value]) -> Result<Vec<Value>, E> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            device: device.clone(),
            function: Box::new(function),
            entries: vec![],
            counts: CaptureCounts::default(),
            fallbacks: vec![],
        }
    }

    /// The function's results.
    ///
    /// # Errors
    /// The function's.
    pub fn call(&mut self, args: &A, inputs: &[Value]) -> Result<Vec<Value>, E> {
        Ok(self.call_with_states(args, inputs, &[])?.0)
    }

    /// Returns results and next states. A graph keeps states in its buffers from call to call if each call gets the
    /// states that the previous one returned. Earlier states must not be read.
    ///
    /// # Errors
    /// The function's.
    ///
    /// # Panics
    /// If the function returns fewer results than there are states.
    pub fn call_with_states(
        &mut self,
        args: &A,
        inputs: &[Value],
        states: &[Value],
    ) -> Result<(Vec<Value>, Vec<Value>), E> {
        let all: Vec<Value> = inputs.iter().chain(states).cloned().collect();
        gpu_path! {
            // Part of the graph that is being recorded.
            if recording::is_recording() {
                return run(&self.function, args, &all, states.len());
            }
        }
        let replayed = match self.entry(args, &all, states.len()) {
            Some(index) => self.replay(index, args, &all, states.len()),
            None => {
                self.counts.first_calls += 1;
                None
            }
        };
        match replayed {
            Some(results) => Ok(results),
            None => run(&self.function, args, &all, states.len()),
        }
    }

    /// How often the function ran in which way, and why without a graph.
    pub fn report(&self) -> CaptureReport {
        CaptureReport {
            name: self.name,
            counts: self.counts,
            fallbacks: self.fallbacks.clone(),
        }
    }

    /// The entry of these arguments, moved to the end; `None` if it is new.
    fn entry(&mut self, args: &A, inputs: &[Value], states: usize) -> Option<usize> {
        let key = Key {
            args: args.clone(),
            states,
            signatures: inputs.iter().map(Value::signature).collect(),
            thread: std::thread::current().id(),
        };
        let index = self.entries.iter().position(|entry| entry.key == key);
        let entry = match index {
            Some(index) => self.entries.remove(index),
            None => Entry {
                key,
                graph: Graph::Unrecorded,
            },
        };
        self.entries.push(entry);
        if self.entries.len() > MAX_SHAPES {
            self.entries.remove(0);
        }
        index.map(|_| self.entries.len() - 1)
    }

    /// Counts a call without a graph.
    fn fall_back(&mut self, reason: &str) {
        self.counts.fallbacks += 1;
        match self.fallbacks.iter_mut().find(|(other, _)| other == reason) {
            Some((_, count)) => *count += 1,
            None => {
                if !crate::device::is_cpu(&self.device) {
                    eprintln!("note: {}: not recorded as a graph: {reason}", self.name);
                }
                self.fallbacks.push((reason.to_owned(), 1));
            }
        }
    }

    /// Replays the graph of an entry, after recording it if necessary; `None` if it cannot be recorded.
    fn replay(
        &mut self,
        index: usize,
        args: &A,
        inputs: &[Value],
        states: usize,
    ) -> Option<(Vec<Value>, Vec<Value>)> {
        if matches!(self.entries[index].graph, Graph::Unrecorded) {
            self.entries[index].graph = self.record(args, inputs, states);
        }
        let reason = match &mut self.entries[index].graph {
            #[cfg(feature = "gpu")]
            Graph::Recorded(recording) => match recording.replay(inputs) {
                Ok(results) => {
                    self.counts.replays += 1;
                    return Some(results);
                }
                Err(reason) => {
                    self.entries[index].graph = Graph::Refused(reason.clone());
                    reason
                }
            },
            Graph::Refused(reason) => reason.clone(),
            Graph::Unrecorded => return None,
        };
        self.fall_back(&reason);
        None
    }

    #[cfg(not(feature = "gpu"))]
    fn record(&mut self, _args: &A, _inputs: &[Value], _states: usize) -> Graph {
        Graph::Refused("the CPU has no graphs".into())
    }

    #[cfg(feature = "gpu")]
    fn record(&mut self, args: &A, inputs: &[Value], states: usize) -> Graph {
        if crate::device::is_cpu(&self.device) {
            return Graph::Refused("the CPU has no graphs".into());
        }
        if self.device.is_autodiff() {
            return Graph::Refused("gradients are recorded by autodiff".into());
        }
        if self.counts.recordings == MAX_RECORDINGS {
            return Graph::Refused(format!("more than {MAX_RECORDINGS} shapes of inputs"));
        }
        let is_graph = |entry: &Entry<A>| matches!(entry.graph, Graph::Recorded(_));
        if self.entries.iter().filter(|entry| is_graph(entry)).count() == MAX_GRAPHS {
            // The entry at the end is the one that is recorded.
            if let Some(oldest) = self.entries.iter_mut().find(|entry| is_graph(entry)) {
                oldest.graph = Graph::Unrecorded;
            }
        }
        let function = |inputs: &[Value]| run(&self.function, args, inputs, states).ok();
        match recording::Recording::new(&self.device, inputs, states, function) {
            Ok(recording) => {
                self.counts.recordings += 1;
                Graph::Recorded(Box::new(recording))
            }
            Err(reason) => Graph::Refused(reason),
        }
    }
}

/// Results and next states.
fn run<A, E>(
    function: impl Fn(&A, &[Value]) -> Result<Vec<Value>, E>,
    args: &A,
    inputs: &[Value],
    states: usize,
) -> Result<(Vec<Value>, Vec<Value>), E> {
    let mut results = function(args, inputs)?;
    let next = results.split_off(results.len() - states);
    Ok((results, next))
}

impl<A, E> fmt::Debug for Captured<A, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured")
            .field("name", &self.name)
            .field("counts", &self.counts)
            .field("fallbacks", &self.fallbacks)
            .finish_non_exhaustive()
    }
}
