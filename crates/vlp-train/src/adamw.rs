//! AdamW as one operation a parameter; its state is that of burn's own, records included.

use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::prelude::*;
use vlp_ops::AdamWStep;

use crate::grads::GradScale;

/// The rule's constants.
#[derive(Debug, Clone)]
pub(crate) struct AdamW {
    pub(crate) grad_scale: GradScale,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
    pub(crate) decay: f32,
    pub(crate) bf16: bool,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let state = state.map(|s| s.momentum);
        let time = state.as_ref().map_or(0, |s| s.time) + 1;
        let moments = state.map(|s| (s.moment_1, s.moment_2));
        let step = AdamWStep {
            grad_scale: self.grad_scale.get(),
            rate: lr,
            decay: self.decay,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            time: i32::try_from(time).unwrap_or(i32::MAX),
            bf16: self.bf16,
        };
        let (tensor, first, second) = vlp_ops::adamw(tensor, grad, moments, step);
        let state = AdaptiveMomentumState::new(time, first, second);
        (tensor, Some(AdamWState::new(state)))
    }

    fn to_device<const D: usize>(mut state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
