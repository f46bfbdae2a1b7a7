//! One update of stochastic gradient descent with momentum in one pass, in place where nothing else holds the tensors.
//!
//! Needed as long as burn's optimiser is half a dozen element-wise passes, which its CPU backend runs on one thread.

use burn::prelude::*;

use crate::adamw::scaled;

/// Constants of one update.
#[derive(Debug, Clone, Copy)]
pub struct SgdStep {
    /// What the gradient is multiplied by first: 1, or less where it is clipped.
    pub grad_scale: f32,
    /// Learning rate.
    pub rate: f64,
    /// Weight decay, added to the gradient.
    pub decay: f32,
    /// Share of the last velocity that stays.
    pub momentum: f32,
}

impl Default for SgdStep {
    /// `torch.optim.SGD` as it comes: no decay, no momentum.
    fn default() -> Self {
        Self {
            grad_scale: 1.0,
            rate: 1e-3,
            decay: 0.0,
            momentum: 0.0,
        }
    }
}

/// `(parameter, velocity)` after the update (`torch.optim.SGD` without dampening); all of one shape. The first
/// velocity is the gradient.
pub fn sgd<const D: usize>(
    parameter: Tensor<D>,
    grad: Tensor<D>,
    velocity: Option<Tensor<D>>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    #[cfg(feature = "flex")]
    {
        let plain = |t: &Tensor<D>| !t.device().is_autodiff() && crate::route::fast(t);
        let known = velocity
            .as_ref()
            .is_none_or(|v| plain(v) && v.dims() == grad.dims());
        if plain(&parameter) && plain(&grad) && parameter.dims() == grad.dims() && known {
            return fast::sgd(parameter, grad, velocity, step);
        }
    }
    let grad = scaled(grad, step.grad_scale);
    let grad = parameter.clone().mul_scalar(step.decay) + grad;
    let velocity = match velocity {
        Some(velocity) => grad + velocity.mul_scalar(step.momentum),
        None => grad,
    };
    (parameter - velocity.clone().mul_scalar(step.rate), velocity)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::Flex;
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use super::SgdStep;
    use crate::flex::{TASK, WAIT, own, values, wide};

    pub(super) fn sgd<const D: usize>(
        parameter: Tensor<D>,
        grad: Tensor<D>,
        velocity: Option<Tensor<D>>,
        step: SgdStep,
    ) -> (Tensor<D>, Tensor<D>) {
        let (mut parameter, mut grad) = (own(parameter), own(grad));
        let SgdStep {
            grad_scale,
            rate,
            decay,
            momentum,
        } = step;
        let rate = rate as f32;
        let back = Tensor::from_primitive::<Flex>;
        let Some(velocity) = velocity else {
            let update = |p: &mut [f32], g: &mut [f32]| {
                wide(
                    #[inline(always)]
                    || {
                        for (p, g) in p.iter_mut().zip(g) {
                            *g = *p * decay + *g * grad_scale;
                            *p -= *g * rate;
                        }
                    },
                );
            };
            parameter
                .storage_mut::<f32>()
                .par_chunks_mut(TASK)
                .zip(grad.storage_mut::<f32>().par_chunks_mut(TASK))
                .for_each(|(p, g)| update(p, g));
            return (back(parameter), back(grad));
        };
        let mut velocity = own(velocity);
        let update = |p: &mut [f32], v: &mut [f32], g: &[f32]| {
            wide(
                #[inline(always)]
                || {
                    let mut wait = ([0f32; WAIT], [0f32; WAIT]);
                    let all = p.chunks_mut(WAIT).zip(v.chunks_mut(WAIT));
                    for ((p, v), g) in all.zip(g.chunks(WAIT)) {
                        let out = wait.0.iter_mut().zip(&mut wait.1);
                        for ((new_p, new_v), ((p, v), g)) in out.zip(p.iter().zip(&*v).zip(g)) {
                            *new_v = *p * decay + *g * grad_scale + *v * momentum;
                            *new_p = *p - *new_v * rate;
                        }
                        p.copy_from_slice(&wait.0[..p.len()]);
                        v.copy_from_slice(&wait.1[..v.len()]);
                    }
                },
            );
        };
        parameter
            .storage_mut::<f32>()
            .par_chunks_mut(TASK)
            .zip(velocity.storage_mut::<f32>().par_chunks_mut(TASK))
            .zip(values(&grad).par_chunks(TASK))
            .for_each(|((p, v), g)| update(p, v, g));
        (back(parameter), back(velocity))
    }
}
