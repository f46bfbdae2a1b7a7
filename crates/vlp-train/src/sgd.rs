//! SGD with momentum, with one fused operation per parameter. Records are compatible with burn's `Sgd`.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::prelude::*;
use vlp_ops::capture::copy_tensor;
use vlp_ops::{SgdStep, SgdUpdate};

use crate::grad_scale::GradScale;
use crate::update_list::Walk;

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
        let velocity = state.and_then(|state| state.velocity);
        let updates = &self.grad_scale.updates;
        let step = SgdStep {
            grad_scale: self.grad_scale.get(),
            learning_rate,
            weight_decay: self.weight_decay,
            momentum: self.momentum,
        };
        let (tensor, velocity) = match updates.walk() {
            Walk::Update => {
                let (tensor, velocity) = vlp_ops::sgd(tensor, grad, velocity, step);
                (tensor, Some(velocity))
            }
            Walk::List => {
                let placeholder = updates.placeholder::<D>(&grad.device());
                updates.push_sgd(SgdUpdate {
                    parameter: tensor.into(),
                    grad: grad.into(),
                    velocity: velocity.map(Into::into),
                    step,
                });
                (placeholder.clone(), Some(placeholder))
            }
            Walk::Return => match updates.next_sgd() {
                Some([tensor, velocity]) => (tensor.into_tensor(), Some(velocity.into_tensor())),
                None => (tensor, velocity),
            },
            Walk::CopyStates => (tensor, velocity.as_ref().map(copy_tensor)),
            Walk::Undo | Walk::Count(_) | Walk::ListNumbers => (tensor, velocity),
        };
        let velocity = velocity.filter(|_| self.momentum > 0.0);
        (tensor, Some(SgdState { velocity }))
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState {
            velocity: state.velocity.map(|velocity| velocity.to_device(device)),
        }
    }
}
