//! AdamW with one fused operation per parameter. The state is burn's, and so is its record.

use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::prelude::*;
use vlp_ops::AdamWStep;

use crate::grad_scale::GradScale;

/// The optimizer's constants.
#[derive(Debug, Clone)]
pub(crate) struct AdamW {
    pub(crate) grad_scale: GradScale,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
    pub(crate) weight_decay: f32,
    pub(crate) bf16_moments: bool,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let state = state.map(|s| s.momentum);
        let (grad, grad_scale) = self.grad_scale.apply(grad);
        let time = state.as_ref().map_or(0, |s| s.time) + 1;
        let moments = state.map(|s| (s.moment_1, s.moment_2));
        let step = AdamWStep {
            grad_scale,
            learning_rate,
            weight_decay: self.weight_decay,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            step_number: i32::try_from(time).unwrap_or(i32::MAX),
            bf16_moments: self.bf16_moments,
        };
        let (tensor, moment_1, moment_2) = vlp_ops::adamw(tensor, grad, moments, step);
        let state = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (tensor, Some(AdamWState::new(state)))
    }

    fn to_device<const D: usize>(mut state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
