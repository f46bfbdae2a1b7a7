//! One update of stochastic gradient descent with momentum in one pass, in place where the tensors are not shared.
//!
//! Needed as long as burn's optimizer is half a dozen element-wise passes, which its CPU backend runs on one thread.

use burn::prelude::*;

use super::adamw::scale_grad;
use crate::SgdStep;

/// Returns `(parameter, velocity)` after the update (`torch.optim.SGD` without dampening), all of one shape. The first
/// velocity is the gradient.
pub fn sgd<const D: usize>(
    parameter: Tensor<D>,
    grad: Tensor<D>,
    velocity: Option<Tensor<D>>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    cpu_path! {
        use crate::dispatch::takes_fast_path;
        let fits = |t: &Tensor<D>| {
            !t.device().is_autodiff() && takes_fast_path(t) && t.dims() == grad.dims()
        };
        if fits(&parameter) && fits(&grad) && velocity.as_ref().is_none_or(fits) {
            return update_in_place(parameter, grad, velocity, step);
        }
    }
    let grad = scale_grad(grad, step.grad_scale);
    let grad = parameter.clone().mul_scalar(step.weight_decay) + grad;
    let velocity = match velocity {
        Some(velocity) => grad + velocity.mul_scalar(step.momentum),
        None => grad,
    };
    let parameter = parameter - velocity.clone().mul_scalar(step.learning_rate);
    (parameter, velocity)
}

cpu_path! {
    fn update_in_place<const D: usize>(
        parameter: Tensor<D>,
        grad: Tensor<D>,
        velocity: Option<Tensor<D>>,
        step: SgdStep,
    ) -> (Tensor<D>, Tensor<D>) {
        use crate::cpu::optimizer;
        use crate::cpu::tensor::{as_slice, into_array, into_writable};

        let writable = |tensor| into_writable(into_array(tensor));
        let (mut parameter, mut grad) = (writable(parameter), writable(grad));
        let p = parameter.storage_mut::<f32>();
        let velocity = match velocity {
            None => {
                optimizer::sgd_first(p, grad.storage_mut::<f32>(), step);
                grad
            }
            Some(velocity) => {
                let mut velocity = writable(velocity);
                optimizer::sgd(p, velocity.storage_mut::<f32>(), as_slice(&grad), step);
                velocity
            }
        };
        let tensor = Tensor::from_primitive::<burn::backend::Flex>;
        (tensor(parameter), tensor(velocity))
    }
}
