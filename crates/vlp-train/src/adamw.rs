//! AdamW with one fused operation per parameter. The state is burn's, and so is its record.

use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::prelude::*;
use vlp_ops::AdamWStep;

use crate::grads::{GradScale, Scale};

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
        let (grad, grad_scale, deferred) = match self.grad_scale.get() {
            Scale::Factor(factor) => (grad, factor, None),
            Scale::Deferred(deferred) => (deferred.scale(grad), 1.0, Some(deferred)),
            Scale::Undo => {
                // Without an update before that one there was no state.
                let state = state.filter(|state| state.time > 1).map(|mut state| {
                    state.time -= 1;
                    AdamWState::new(state)
                });
                return (tensor, state);
            }
        };
        let time = state.as_ref().map_or(0, |s| s.time) + 1;
        let moments = state.map(|s| (s.moment_1, s.moment_2));
        let old = deferred.map(|deferred| (deferred, tensor.clone(), moments.clone()));
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
        let (mut tensor, mut moment_1, mut moment_2) = vlp_ops::adamw(tensor, grad, moments, step);
        if let Some((deferred, old, moments)) = old {
            let zeros = || (moment_1.zeros_like(), moment_2.zeros_like());
            let (old_1, old_2) = moments.unwrap_or_else(zeros);
            tensor = deferred.choose(old, tensor);
            let choose = |old: Tensor<D>, new: Tensor<D>| match old.dtype() == new.dtype() {
                true => deferred.choose(old, new),
                false => deferred.choose(old.cast(new.dtype()), new),
            };
            (moment_1, moment_2) = (choose(old_1, moment_1), choose(old_2, moment_2));
        }
        let state = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (tensor, Some(AdamWState::new(state)))
    }

    fn to_device<const D: usize>(mut state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
