//! AdamW with one fused operation per parameter. The state is burn's, and so is its record.

use burn::optim::{AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::prelude::*;
use vlp_ops::capture::copy_tensor;
use vlp_ops::{AdamWStep, AdamWUpdate};

use crate::adamw_rule::AdamWRule;
use crate::grad_scale::GradScale;
use crate::update_list::Walk;

/// The optimizer's constants.
#[derive(Debug, Clone)]
pub(crate) struct AdamW {
    pub(crate) grad_scale: GradScale,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) epsilon: f32,
    pub(crate) rule: AdamWRule,
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
        let time = state.as_ref().map_or(0, |s| s.time);
        let moments = state.map(|s| (s.moment_1, s.moment_2));
        let updates = &self.grad_scale.updates;
        let step = AdamWStep {
            grad_scale: self.grad_scale.get(),
            learning_rate,
            weight_decay: self.weight_decay,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            epsilon_before_correction: self.rule == AdamWRule::Transformers,
            decay_after_update: self.rule == AdamWRule::Transformers,
            step_number: i32::try_from(time + 1).unwrap_or(i32::MAX),
            bf16_moments: self.bf16_moments,
        };
        let (tensor, time, moments) = match updates.walk() {
            Walk::Update => {
                let (tensor, first, second) = vlp_ops::adamw(tensor, grad, moments, step);
                (tensor, time + 1, Some((first, second)))
            }
            Walk::List => {
                let placeholder = updates.placeholder::<D>(&grad.device());
                updates.push_adamw(AdamWUpdate::new(tensor, grad, moments, step));
                let moments = (placeholder.clone(), placeholder.clone());
                (placeholder, time + 1, Some(moments))
            }
            Walk::Return => match updates.next_adamw() {
                Some([tensor, first, second]) => {
                    let moments = (first.into_tensor(), second.into_tensor());
                    (tensor.into_tensor(), time, Some(moments))
                }
                None => (tensor, time, moments),
            },
            Walk::Undo => (tensor, time.saturating_sub(1), moments),
            Walk::Count(count) => (tensor, time + count, moments),
            Walk::CopyStates => {
                let copies =
                    moments.map(|(first, second)| (copy_tensor(&first), copy_tensor(&second)));
                (tensor, time, copies)
            }
            Walk::ListNumbers => {
                updates.push_step_number(step.step_number);
                (tensor, time, moments)
            }
        };
        let state = moments.filter(|_| time > 0).map(|(first, second)| {
            AdamWState::new(AdaptiveMomentumState::new(time, first, second))
        });
        (tensor, state)
    }

    fn to_device<const D: usize>(mut state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
