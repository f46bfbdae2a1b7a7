//! Gradients and running statistics, summed over micro-batches.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};

use crate::param_values::ParamValues;

/// Sums over micro-batches.
#[derive(Default)]
pub(super) struct StepSum {
    /// Gradients; none if no micro-batch has any.
    pub(super) grads: Option<GradientsParams>,
    /// Running statistics; none if the step has one micro-batch, which leaves them in the module.
    pub(super) statistics: Option<Statistics>,
}

/// Running statistics after micro-batches.
pub(super) struct Statistics {
    /// Their sums.
    pub(super) sums: ParamValues,
    /// For each float parameter of the module, whether a micro-batch has changed it. The mean of equal numbers need not be
    /// exactly that number, so unchanged parameters must not be replaced by the mean.
    pub(super) changed: Vec<bool>,
}

impl StepSum {
    /// The sum of `self` and `other`, in this order.
    pub(super) fn add<M: Module>(self, other: Self, model: &M) -> Self {
        let grads = match (self.grads, other.grads) {
            (Some(left), Some(right)) => {
                let mut sum = GradientsAccumulator::new();
                sum.accumulate(model, left);
                sum.accumulate(model, right);
                Some(sum.grads())
            }
            (left, right) => left.or(right),
        };
        let statistics = match (self.statistics, other.statistics) {
            (Some(left), Some(right)) => Some(Statistics {
                sums: left.sums.add(&right.sums, model),
                changed: either(&left.changed, &right.changed),
            }),
            (left, right) => left.or(right),
        };
        Self { grads, statistics }
    }
}

impl Statistics {
    /// The sums of one micro-batch that began with the statistics `start`.
    pub(super) fn since<M: Module>(start: &ParamValues, after: ParamValues, model: &M) -> Self {
        Self {
            changed: after.changed_since(start, model),
            sums: after,
        }
    }
}

/// Elementwise OR.
pub(super) fn either(left: &[bool], right: &[bool]) -> Vec<bool> {
    let pairs = left.iter().zip(right);
    pairs.map(|(left, right)| *left || *right).collect()
}
