//! One recorded graph with its buffers.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::ThreadId;

use burn::backend::{Backend, BackendGraph, Dispatch};
use burn::prelude::*;

use super::in_place::{assign, copy};
use super::value::{Value, WeakValue};

/// Runs before the window opens: in the first, fusion and autotune look for kernels; the others allocate as the recorded
/// run will, which must not allocate.
const WARM_UPS: usize = 3;

/// A recorded graph. It reads inputs and states from its own buffers, and writes outputs and states to its own buffers.
pub(super) struct Recording {
    device: Device,
    /// The thread that recorded it, whose operations are in its stream.
    thread: ThreadId,
    /// Inputs, then states.
    slots: Vec<Slot>,
    states: usize,
    outputs: Vec<Value>,
    /// Tensors that the function read from caches, which may drop them.
    _cached: Vec<Value>,
    graph: BackendGraph<Dispatch>,
}

thread_local! {
    /// Whether this thread records a graph, or warms up for it.
    static IS_RECORDING: Cell<bool> = const { Cell::new(false) };
    /// Tensors that the function that this thread is recording has read from caches; `None` if none is being recorded.
    static CACHED: RefCell<Option<Vec<Value>>> = const { RefCell::new(None) };
}

/// Keeps a value with the graph that this thread is recording, if any.
pub(super) fn keep(value: impl FnOnce() -> Value) {
    CACHED.with_borrow_mut(|cached| {
        if let Some(cached) = cached {
            cached.push(value());
        }
    });
}

/// Whether this thread records a graph, or warms up for it: then it must neither record nor replay another one.
pub(super) fn is_recording() -> bool {
    IS_RECORDING.get()
}

/// A buffer that the graph reads.
struct Slot {
    value: Value,
    /// The value that was last copied into it.
    source: Option<WeakValue>,
}

/// Outputs, then states.
type Results = (Vec<Value>, Vec<Value>);

impl Recording {
    /// Records `function` of `inputs`, of which the last `states` are states; its last results are the next states.
    ///
    /// # Errors
    /// Why it cannot be recorded.
    pub(super) fn new(
        device: &Device,
        inputs: &[Value],
        states: usize,
        function: impl Fn(&[Value]) -> Option<Results>,
    ) -> Result<Self, String> {
        let device = device.clone().inner();
        let slots: Vec<Value> = inputs.iter().map(copy).collect();
        // States are written back inside of the window.
        let run = || {
            let (outputs, next) = function(&slots)?;
            let written = slots[slots.len() - states..].iter().zip(&next);
            let written: Vec<Value> = written.map(|(slot, next)| assign(slot, next)).collect();
            Some((outputs, written))
        };
        let (graph, outputs, cached) = record(&device, run)?;
        Ok(Self::of(device, slots, states, outputs, cached, graph))
    }

    /// Records `step`, which itself writes into tensors that another owner keeps, and returns its outputs and tensors that
    /// must exist until it has run.
    ///
    /// # Errors
    /// Why it cannot be recorded.
    pub(super) fn of_step(
        device: &Device,
        inputs: &[Value],
        step: impl Fn(&[Value]) -> Result<Results, String>,
    ) -> Result<Self, String> {
        let device = device.clone().inner();
        let slots: Vec<Value> = inputs.iter().map(copy).collect();
        let reason = RefCell::new(None);
        let run = || match step(&slots) {
            Ok(results) => Some(results),
            Err(error) => {
                reason.replace(Some(error));
                None
            }
        };
        let recorded = record(&device, run);
        let (graph, outputs, cached) = recorded.map_err(|error| reason.take().unwrap_or(error))?;
        Ok(Self::of(device, slots, 0, outputs, cached, graph))
    }

    fn of(
        device: Device,
        slots: Vec<Value>,
        states: usize,
        outputs: Vec<Value>,
        cached: Vec<Value>,
        graph: BackendGraph<Dispatch>,
    ) -> Self {
        let slots = slots.into_iter().map(|value| Slot {
            value,
            source: None,
        });
        Self {
            device,
            thread: std::thread::current().id(),
            slots: slots.collect(),
            states,
            outputs,
            _cached: cached,
            graph,
        }
    }

    /// Results for other inputs of the same types and shapes. Outputs are copies; states are the graph's own buffers, which the
    /// next call overwrites.
    ///
    /// # Errors
    /// The backend's error message, or what differs from the recording: thread or inputs.
    pub(super) fn replay(&mut self, inputs: &[Value]) -> Result<Results, String> {
        if self.thread != std::thread::current().id() {
            return Err("another thread recorded the graph".into());
        }
        let recorded = self.slots.iter().map(|slot| slot.value.signature());
        if !recorded.eq(inputs.iter().map(Value::signature)) {
            return Err("the graph was recorded for inputs of other types or shapes".into());
        }
        for (slot, input) in self.slots.iter_mut().zip(inputs) {
            let is_there = slot.source.as_ref().is_some_and(|source| source.is(input));
            if !is_there {
                slot.value = assign(&slot.value, input);
                slot.source = Some(input.downgrade());
            }
        }
        #[allow(unsafe_code)]
        // SAFETY: `self` owns the graph's inputs and outputs and the cached tensors that it reads. All other tensors that it
        // reads or writes, such as weights, are owned by the recorded function, which `Captured` owns, or by the owner of a
        // `StepGraph`. Only graphs, `assign` and in-place updates write into tensors that have another owner; all run on this
        // thread, whose stream recorded the graph, as checked above.
        let replayed = unsafe { Dispatch::graph_replay(self.device.as_dispatch(), &self.graph) };
        replayed.map_err(|error| cause(&error.to_string()))?;
        let states = self.slots.len() - self.states;
        for slot in &mut self.slots[states..] {
            slot.source = Some(slot.value.downgrade());
        }
        let states = self.slots[states..].iter().map(|slot| slot.value.clone());
        Ok((self.outputs.iter().map(copy).collect(), states.collect()))
    }
}

/// The graph of `run`, its outputs, and what it read from caches.
fn record(
    device: &Device,
    run: impl Fn() -> Option<Results>,
) -> Result<(BackendGraph<Dispatch>, Vec<Value>, Vec<Value>), String> {
    let device = device.as_dispatch();
    let reason = |error: burn::backend::ExecutionError| cause(&error.to_string());
    // A panic must not leave the window open.
    let run = || {
        catch_unwind(AssertUnwindSafe(&run)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            cause(text.unwrap_or("it panicked"))
        })
    };
    let failed = || "the function failed".to_owned();
    let warm_up = || {
        for _ in 0..WARM_UPS {
            // Kept until the queue is empty: fusion does not run operations whose results have no owner.
            let results = run()?;
            Dispatch::sync(device).map_err(reason)?;
            results.ok_or_else(failed)?;
        }
        Dispatch::graph_start_capture(device).map_err(reason)
    };
    let _flag = RecordingFlag::set();
    Dispatch::graph_prepare(device).map_err(reason)?;
    if let Err(reason) = warm_up() {
        // Leaves the prepared state; there is no graph to get.
        let _ = Dispatch::graph_stop_capture(device);
        return Err(reason);
    }
    CACHED.set(Some(vec![]));
    let results = run();
    let cached = CACHED.take().unwrap_or_default();
    let graph = Dispatch::graph_stop_capture(device).map_err(reason);
    // A panic is the cause of a window that does not seal.
    let (outputs, _written) = results?.ok_or_else(failed)?;
    Ok((graph?, outputs, cached))
}

/// Sets the thread's flag, until it is dropped.
struct RecordingFlag;

impl RecordingFlag {
    fn set() -> Self {
        IS_RECORDING.set(true);
        Self
    }
}

impl Drop for RecordingFlag {
    fn drop(&mut self) {
        IS_RECORDING.set(false);
    }
}

/// The innermost cause of an error that lists them all, one or more to a line.
fn cause(error: &str) -> String {
    let lines = error.split("\\n").flat_map(str::lines).map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.contains("acktrace"));
    lines.last().unwrap_or(error).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_cause_is_told() {
        let error = "An error\nCaused by:\n  read: refused\nBacktrace:\nNo backtrace available";
        assert_eq!(cause(error), "read: refused");
        assert_eq!(
            cause("Data(Read(\"An error\\nread: refused"),
            "read: refused"
        );
        assert_eq!(cause("refused"), "refused");
    }
}
