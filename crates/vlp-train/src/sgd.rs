//! SGD with momentum as one operation a parameter; its records are those of burn's own.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::prelude::*;
use vlp_ops::SgdStep;

use crate::grads::GradScale;

/// The rule's constants.
#[derive(Debug, Clone)]
pub(crate) struct Sgd {
    pub(crate) grad_scale: GradScale,
    pub(crate) momentum: f32,
    pub(crate) decay: f32,
}

/// What a parameter's update leaves for the next, if there is momentum.
#[derive(Debug, Clone)]
pub(crate) struct SgdState<const D: usize> {
    velocity: Option<Tensor<D>>,
}

/// Where burn's `SgdState` keeps it.
const PATH: (&str, &str) = ("momentum", "velocity");

impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(velocity) = &self.velocity {
            let prefix = format!("{prefix}.{}", PATH.0);
            out.push_tensor(&prefix, PATH.1, velocity.to_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let prefix = format!("{prefix}.{}", PATH.0);
        let velocity = src.take_tensor(&prefix, PATH.1);
        Some(Self {
            velocity: velocity.map(|data| Tensor::from_data(data, device)),
        })
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let step = SgdStep {
            grad_scale: self.grad_scale.get(),
            rate,
            decay: self.decay,
            momentum: self.momentum,
        };
        let velocity = state.and_then(|state| state.velocity);
        let (tensor, velocity) = vlp_ops::sgd(tensor, grad, velocity, step);
        let velocity = (self.momentum > 0.0).then_some(velocity);
        (tensor, Some(SgdState { velocity }))
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState {
            velocity: state.velocity.map(|velocity| velocity.to_device(device)),
        }
    }
}
