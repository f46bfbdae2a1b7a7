//! One AdamW update (Loshchilov & Hutter 2019) in one pass, in place where nothing else holds the tensors.
//!
//! Needed as long as burn's optimiser is a dozen element-wise passes, which its CPU backend runs on one thread.

use burn::prelude::*;
use burn::tensor::DType;

use crate::narrow::{kept, narrow};

/// Constants of one update.
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// What the gradient is multiplied by first: 1, or less where it is clipped.
    pub grad_scale: f32,
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
    /// Keep the moments in bf16, rounded by chance: half of their memory.
    pub bf16: bool,
}

impl Default for AdamWStep {
    /// The first update of `torch.optim.AdamW` as it comes.
    fn default() -> Self {
        Self {
            grad_scale: 1.0,
            rate: 1e-3,
            decay: 1e-2,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            time: 1,
            bf16: false,
        }
    }
}

/// `(parameter, first moment, second moment)` after the update; all of one shape. Moments start at zero.
pub fn adamw<const D: usize>(
    parameter: Tensor<D>,
    grad: Tensor<D>,
    moments: Option<(Tensor<D>, Tensor<D>)>,
    step: AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let kept = kept(step.bf16);
    let (first, second) = match moments {
        Some((first, second)) if first.dtype() == kept && second.dtype() == kept => (first, second),
        Some((first, second)) => (first.cast(kept), second.cast(kept)),
        None => {
            let zeros = Tensor::zeros(grad.dims(), (&grad.device(), kept));
            (zeros.clone(), zeros)
        }
    };
    #[cfg(feature = "flex")]
    {
        let all = [&parameter, &grad, &first, &second];
        let alike = |t: &&Tensor<D>| !t.device().is_autodiff() && t.dims() == grad.dims();
        let fast = |t: &Tensor<D>, dtype| crate::route::fast_in(t, dtype);
        let moments = fast(&first, kept) && fast(&second, kept);
        if all.iter().all(alike)
            && fast(&parameter, DType::F32)
            && fast(&grad, DType::F32)
            && moments
        {
            return fast::adamw(parameter, grad, first, second, step);
        }
    }
    let grad = scaled(grad, step.grad_scale);
    let wide = |moment: Tensor<D>| {
        if step.bf16 {
            moment.cast(DType::F32)
        } else {
            moment
        }
    };
    let first = wide(first).mul_scalar(step.beta1) + grad.clone().mul_scalar(1.0 - step.beta1);
    let second = wide(second).mul_scalar(step.beta2) + grad.square().mul_scalar(1.0 - step.beta2);
    let mean = first.clone().div_scalar(1.0 - step.beta1.powi(step.time));
    let square = second.clone().div_scalar(1.0 - step.beta2.powi(step.time));
    let delta = mean.div(square.sqrt().add_scalar(step.epsilon));
    let kept = parameter.mul_scalar(1.0 - step.rate * f64::from(step.decay));
    let keep = |moment| if step.bf16 { narrow(moment) } else { moment };
    (
        kept - delta.mul_scalar(step.rate),
        keep(first),
        keep(second),
    )
}

/// `grad * factor`, without a pass for 1.
pub(crate) fn scaled<const D: usize>(grad: Tensor<D>, factor: f32) -> Tensor<D> {
    if factor == 1.0 {
        return grad;
    }
    grad.mul_scalar(factor)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::Flex;
    use burn::prelude::Tensor;
    use burn::tensor::bf16;
    use rayon::prelude::*;

    use super::AdamWStep;
    use crate::dropout::mix;
    use crate::flex::{TASK, WAIT, own, values, wide};
    use crate::narrow::Stored;

    pub(super) fn adamw<const D: usize>(
        parameter: Tensor<D>,
        grad: Tensor<D>,
        first: Tensor<D>,
        second: Tensor<D>,
        step: AdamWStep,
    ) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
        let (mut parameter, grad) = (own(parameter), own(grad));
        let (mut first, mut second) = (own(first), own(second));
        let all = (parameter.storage_mut::<f32>(), values(&grad));
        if step.bf16 {
            let (first, second) = (first.storage_mut::<bf16>(), second.storage_mut::<bf16>());
            update(all, first, second, step);
        } else {
            let (first, second) = (first.storage_mut::<f32>(), second.storage_mut::<f32>());
            update(all, first, second, step);
        }
        let back = Tensor::from_primitive::<Flex>;
        (back(parameter), back(first), back(second))
    }

    fn update<T: Stored>(
        (parameter, grad): (&mut [f32], &[f32]),
        first: &mut [T],
        second: &mut [T],
        step: AdamWStep,
    ) {
        let kept = (1.0 - step.rate * f64::from(step.decay)) as f32;
        let rate = step.rate as f32;
        let AdamWStep {
            grad_scale,
            beta1,
            beta2,
            epsilon,
            time,
            ..
        } = step;
        let (whole1, whole2) = (1.0 - beta1.powi(time), 1.0 - beta2.powi(time));
        // Chance is a function of the update and the place; the golden ratio keeps neighbouring updates apart.
        let seed = [
            (time as u32).wrapping_mul(0x9e37_79b9),
            parameter.len() as u32,
        ];
        let part = |at: usize, p: &mut [f32], m: &mut [T], v: &mut [T], g: &[f32]| {
            wide(
                #[inline(always)]
                || {
                    let mut wait = ([0f32; WAIT], [T::put(0.0, 0); WAIT], [T::put(0.0, 0); WAIT]);
                    let all = p.chunks_mut(WAIT).zip(m.chunks_mut(WAIT));
                    let all = all.zip(v.chunks_mut(WAIT)).zip(g.chunks(WAIT));
                    for (i, (((p, m), v), g)) in all.enumerate() {
                        let first = (at + i * WAIT) as u32;
                        let out = wait.0.iter_mut().zip(&mut wait.1).zip(&mut wait.2);
                        let old = p.iter().zip(&*m).zip(&*v).zip(g).zip(0u32..WAIT as u32);
                        for (((new_p, new_m), new_v), ((((p, m), v), g), i)) in out.zip(old) {
                            let g = *g * grad_scale;
                            let mean = m.get() * beta1 + g * (1.0 - beta1);
                            let square = v.get() * beta2 + g * g * (1.0 - beta2);
                            let delta = (mean / whole1) / ((square / whole2).sqrt() + epsilon);
                            let chance = match size_of::<T>() {
                                4 => 0,
                                _ => mix(seed, first + i),
                            };
                            *new_p = *p * kept - delta * rate;
                            *new_m = T::put(mean, chance >> 16);
                            *new_v = T::put(square, chance);
                        }
                        p.copy_from_slice(&wait.0[..p.len()]);
                        m.copy_from_slice(&wait.1[..m.len()]);
                        v.copy_from_slice(&wait.2[..v.len()]);
                    }
                },
            );
        };
        parameter
            .par_chunks_mut(TASK)
            .zip(first.par_chunks_mut(TASK))
            .zip(second.par_chunks_mut(TASK))
            .zip(grad.par_chunks(TASK))
            .enumerate()
            .for_each(|(i, (((p, m), v), g))| part(i * TASK, p, m, v, g));
    }
}
