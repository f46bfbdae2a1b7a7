//! SGD with momentum, with one fused operation per parameter. Records are compatible with burn's `Sgd`.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::prelude::*;
use vlp_ops::SgdStep;

use crate::grad_scale::GradScale;

/// The optimizer's constants.
#[derive(Debug, Clone)]
pub(crate) struct Sgd {
    pub(crate) grad_scale: GradScale,
    pub(crate) momentum: f32,
    pub(crate) weight_decay: f32,
}

/// State of one parameter; there is no velocity without momentum.
#[derive(Debug, Clone)]
pub(crate) struct SgdState<const D: usize> {
    velocity: Option<Tensor<D>>,
}

/// Path of the velocity in the record of burn's `SgdState`.
const VELOCITY: (&str, &str) = ("momentum", "velocity");

impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        if let Some(velocity) = &self.velocity {
            let prefix = format!("{prefix}.{}", VELOCITY.0);
            out.push_tensor(&prefix, VELOCITY.1, velocity.to_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let prefix = format!("{prefix}.{}", VELOCITY.0);
        let velocity = src.take_tensor(&prefix, VELOCITY.1);
        Some(Self {
            velocity: velocity.map(|data| Tensor::from_data(data, device)),
        })
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let (grad, grad_scale) = self.grad_scale.apply(grad);
        let step = SgdStep {
            grad_scale,
            learning_rate,
            weight_decay: self.weight_decay,
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
