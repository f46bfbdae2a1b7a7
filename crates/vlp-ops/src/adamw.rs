//! One AdamW update (Loshchilov & Hutter 2019) in one pass, in place where nothing else holds the tensors.
//!
//! Needed as long as burn's optimiser is a dozen element-wise passes, which its CPU backend runs on one thread.

use burn::prelude::*;

/// Constants of one update.
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// Learning rate.
    pub rate: f64,
    /// Decoupled weight decay, before the rate.
    pub decay: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Number of this update, from 1.
    pub time: i32,
}

/// `(parameter, first moment, second moment)` after the update; all of one shape. Moments start at zero.
pub fn adamw<const D: usize>(
    parameter: Tensor<D>,
    grad: Tensor<D>,
    moments: Option<(Tensor<D>, Tensor<D>)>,
    step: AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let (first, second) = moments.unwrap_or_else(|| {
        let zeros = grad.zeros_like();
        (zeros.clone(), zeros)
    });
    #[cfg(feature = "flex")]
    {
        let all = [&parameter, &grad, &first, &second];
        let plain = |t: &&Tensor<D>| !t.device().is_autodiff() && crate::route::fast(t);
        if all.iter().all(plain) && all.iter().all(|t| t.dims() == grad.dims()) {
            return fast::adamw(parameter, grad, first, second, step);
        }
    }
    let first = first.mul_scalar(step.beta1) + grad.clone().mul_scalar(1.0 - step.beta1);
    let second = second.mul_scalar(step.beta2) + grad.square().mul_scalar(1.0 - step.beta2);
    let mean = first.clone().div_scalar(1.0 - step.beta1.powi(step.time));
    let square = second.clone().div_scalar(1.0 - step.beta2.powi(step.time));
    let delta = mean.div(square.sqrt().add_scalar(step.epsilon));
    let kept = parameter.mul_scalar(1.0 - step.rate * f64::from(step.decay));
    (kept - delta.mul_scalar(step.rate), first, second)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::Flex;
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use super::AdamWStep;
    use crate::flex::{TASK, own, values, wide};

    pub(super) fn adamw<const D: usize>(
        parameter: Tensor<D>,
        grad: Tensor<D>,
        first: Tensor<D>,
        second: Tensor<D>,
        step: AdamWStep,
    ) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
        let (mut parameter, grad) = (own(parameter), own(grad));
        let (mut first, mut second) = (own(first), own(second));
        let kept = (1.0 - step.rate * f64::from(step.decay)) as f32;
        let rate = step.rate as f32;
        let whole1 = 1.0 - step.beta1.powi(step.time);
        let whole2 = 1.0 - step.beta2.powi(step.time);
        let update = |p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]| {
            wide(|| {
                for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
                    *m = *m * step.beta1 + *g * (1.0 - step.beta1);
                    *v = *v * step.beta2 + *g * *g * (1.0 - step.beta2);
                    let delta = (*m / whole1) / ((*v / whole2).sqrt() + step.epsilon);
                    *p = *p * kept - delta * rate;
                }
            });
        };
        parameter
            .storage_mut::<f32>()
            .par_chunks_mut(TASK)
            .zip(first.storage_mut::<f32>().par_chunks_mut(TASK))
            .zip(second.storage_mut::<f32>().par_chunks_mut(TASK))
            .zip(values(&grad).par_chunks(TASK))
            .for_each(|(((p, m), v), g)| update(p, m, v, g));
        let back = Tensor::from_primitive::<Flex>;
        (back(parameter), back(first), back(second))
    }
}
