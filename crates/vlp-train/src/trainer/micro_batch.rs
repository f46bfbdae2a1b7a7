//! Contribution of a micro-batch to a step.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;

use super::SkipReason;
use crate::grads::has_trained_param;

/// Loss of one micro-batch of a step.
#[derive(Debug)]
pub struct BatchLoss<T> {
    /// The loss `[1]`, or a reason to skip the step.
    pub loss: Result<Tensor<1>, SkipReason>,
    /// Names of [`Self::values`].
    pub names: Vec<String>,
    /// Values `[names]` to report, without autodiff. If one of them is not finite, the step is skipped. They are read at the
    /// end of the step, so that a GPU does not wait for the CPU before.
    pub values: Option<Tensor<1>>,
    /// Any other value, which is returned to the caller.
    pub output: T,
}

impl<T> BatchLoss<T> {
    /// A loss without values to report.
    pub fn new(loss: Result<Tensor<1>, SkipReason>, output: T) -> Self {
        Self {
            loss,
            names: vec![],
            values: None,
            output,
        }
    }
}

/// A micro-batch after its backward pass, without its gradients.
pub(super) struct MicroBatch<T> {
    /// Why it has no gradients.
    pub(super) reason: Option<SkipReason>,
    pub(super) names: Vec<String>,
    /// Values to report that have not been copied to the CPU yet.
    pub(super) unread: Option<Tensor<1>>,
    /// Values to report.
    pub(super) values: Vec<f32>,
    pub(super) output: T,
}

/// A micro-batch, and the gradients of its loss divided by the number of micro-batches.
pub(super) fn backward<M: Module, T>(
    batch: BatchLoss<T>,
    model: &M,
    micro_batches: usize,
) -> (MicroBatch<T>, Option<GradientsParams>) {
    let grads = |loss: Tensor<1>| {
        if loss.is_tracked() {
            let loss = loss.div_scalar(micro_batches as f64);
            let grads = GradientsParams::from_grads(loss.backward(), model);
            if !grads.is_empty() {
                return Ok(grads);
            }
        }
        let reason = match has_trained_param(model) {
            true => "the batch has nothing to predict: no loss has a gradient",
            false => "every parameter is frozen: no loss has a gradient",
        };
        Err(SkipReason::NoGradient(reason.into()))
    };
    let (grads, reason) = match batch.loss.and_then(grads) {
        Ok(grads) => (Some(grads), None),
        Err(reason) => (None, Some(reason)),
    };
    let batch = MicroBatch {
        reason,
        names: batch.names,
        unread: batch.values,
        values: vec![],
        output: batch.output,
    };
    (batch, grads)
}
