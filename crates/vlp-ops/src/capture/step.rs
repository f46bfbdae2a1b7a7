//! A training step as a recorded graph.

use std::fmt;

use burn::prelude::*;

use super::value::Value;

/// A recorded training step: forward and backward pass and update, which write weights and states in place.
///
/// Unlike a [`Captured`](super::Captured) function, the step may use autodiff; the tensors that it reads are its inputs, or are
/// kept by the owner of the graph. All that differs from step to step, such as learning rates, must be a value of an input:
/// numbers that the step passes to an operation are recorded with it.
pub struct StepGraph {
    #[cfg(feature = "gpu")]
    recording: super::recording::Recording,
    #[cfg(not(feature = "gpu"))]
    never: std::convert::Infallible,
}

impl StepGraph {
    /// Records `step`, a function of tensors without autodiff with the values of `inputs`. It is called four times, of which all
    /// but the last run; so an input should say whether states change. Its results are its outputs, and tensors
    /// that must exist until it has run: those that were written into.
    ///
    /// # Errors
    /// Why it cannot be recorded: the step's own reason, or an operation that a graph must not have, such as a copy between
    /// the CPU and the device.
    #[allow(unused_variables, reason = "the CPU records no graphs")]
    pub fn record(
        device: &Device,
        inputs: &[Value],
        step: impl Fn(&[Value]) -> Result<(Vec<Value>, Vec<Value>), String>,
    ) -> Result<Self, String> {
        gpu_path! {
            if !crate::is_cpu(device) {
                let recording = super::recording::Recording::of_step(device, inputs, step)?;
                return Ok(Self { recording });
            }
        }
        Err("the CPU has no graphs".into())
    }

    /// Replays the step with other inputs of the same types and shapes, on the thread that recorded it; returns copies of its
    /// outputs.
    ///
    /// # Errors
    /// The backend's error message, or that the thread or the inputs are others than those of the recording.
    #[allow(unused_variables, reason = "the CPU records no graphs")]
    pub fn replay(&mut self, inputs: &[Value]) -> Result<Vec<Value>, String> {
        #[cfg(feature = "gpu")]
        return Ok(self.recording.replay(inputs)?.0);
        #[cfg(not(feature = "gpu"))]
        match self.never {}
    }
}

impl fmt::Debug for StepGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepGraph").finish_non_exhaustive()
    }
}
