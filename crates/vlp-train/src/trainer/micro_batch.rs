//! What a batch contributes to a step.

use burn::optim::GradientsParams;
use burn::prelude::*;

use super::SkipReason;

/// Loss of one batch of a step.
#[derive(Debug)]
pub struct BatchLoss<T> {
    /// The loss `[1]`, or a reason to skip the step.
    pub loss: Result<Tensor<1>, SkipReason>,
    /// Names of [`Self::values`].
    pub names: Vec<String>,
    /// Values `[names]` to report, without autodiff. One that is not finite skips the step. They are read at the end of
    /// the step, so that a GPU need not wait for the CPU before.
    pub values: Option<Tensor<1>>,
    /// Anything else, which is returned.
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

/// A batch after its backward pass.
pub(super) struct BatchGrads<T> {
    pub(super) grads: Result<GradientsParams, SkipReason>,
    pub(super) names: Vec<String>,
    pub(super) values: Option<Tensor<1>>,
    pub(super) output: T,
}
