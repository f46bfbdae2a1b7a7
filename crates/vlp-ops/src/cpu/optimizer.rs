//! Updates of AdamW and SGD in one pass, in place.

use burn::tensor::bf16;
use rayon::prelude::*;

use super::simd::simd_dispatch;
use super::tensor::{CHUNK_LEN, STAGING_LEN};
use crate::types::dropout_mask::hash;
use crate::{AdamWStep, SgdStep};

/// A moment as it is stored.
pub(crate) trait Moment: Copy + Send {
    fn get(self) -> f32;

    /// Rounds up or down by the low 16 bits of `random`.
    fn round(value: f32, random: u32) -> Self;
}

impl Moment for f32 {
    #[inline(always)]
    fn get(self) -> f32 {
        self
    }

    #[inline(always)]
    fn round(value: f32, _: u32) -> Self {
        value
    }
}

impl Moment for bf16 {
    #[inline(always)]
    fn get(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn round(value: f32, random: u32) -> Self {
        // The bits that are cut off carry over with a probability in proportion. Infinities stay so, but a NaN whose bits are all
        // set may become 0: steps that are not finite must be skipped, as the trainer does.
        let bits = value.to_bits().wrapping_add(random & 0xffff);
        Self::from_bits((bits >> 16) as u16)
    }
}

/// One AdamW update of a parameter and its moments.
pub(crate) fn adamw<T: Moment>(
    parameter: &mut [f32],
    grad: &[f32],
    first_moment: &mut [T],
    second_moment: &mut [T],
    step: AdamWStep,
) {
    let (retained, update_rate) = (step.retained() as f32, step.update_rate() as f32);
    let [bias_correction1, bias_correction2] = step.bias_corrections();
    let epsilon = step.corrected_epsilon();
    let AdamWStep {
        grad_scale,
        beta1,
        beta2,
        step_number,
        ..
    } = step;
    // Random bits are a function of update and index; the golden ratio makes those of neighboring updates differ.
    let seed = [
        (step_number as u32).wrapping_mul(0x9e37_79b9),
        parameter.len() as u32,
    ];
    let update = |start: usize, p: &mut [f32], m: &mut [T], v: &mut [T], g: &[f32]| {
        simd_dispatch(
            #[inline(always)]
            || {
                let zero = T::round(0.0, 0);
                let mut staged = (
                    [0f32; STAGING_LEN],
                    [zero; STAGING_LEN],
                    [zero; STAGING_LEN],
                );
                let chunks = p.chunks_mut(STAGING_LEN).zip(m.chunks_mut(STAGING_LEN));
                let chunks = chunks
                    .zip(v.chunks_mut(STAGING_LEN))
                    .zip(g.chunks(STAGING_LEN));
                for (i, (((p, m), v), g)) in chunks.enumerate() {
                    let first = (start + i * STAGING_LEN) as u32;
                    let out = staged.0.iter_mut().zip(&mut staged.1).zip(&mut staged.2);
                    let old = p
                        .iter()
                        .zip(&*m)
                        .zip(&*v)
                        .zip(g)
                        .zip(0u32..STAGING_LEN as u32);
                    for (((new_p, new_m), new_v), ((((p, m), v), g), i)) in out.zip(old) {
                        let g = *g * grad_scale;
                        let mean = m.get() * beta1 + g * (1.0 - beta1);
                        let square = v.get() * beta2 + g * g * (1.0 - beta2);
                        let delta = (mean / bias_correction1)
                            / ((square / bias_correction2).sqrt() + epsilon);
                        let random = match size_of::<T>() {
                            4 => 0,
                            _ => hash(seed, first + i),
                        };
                        *new_p = *p * retained - delta * update_rate;
                        *new_m = T::round(mean, random >> 16);
                        *new_v = T::round(square, random);
                    }
                    p.copy_from_slice(&staged.0[..p.len()]);
                    m.copy_from_slice(&staged.1[..m.len()]);
                    v.copy_from_slice(&staged.2[..v.len()]);
                }
            },
        );
    };
    parameter
        .par_chunks_mut(CHUNK_LEN)
        .zip(first_moment.par_chunks_mut(CHUNK_LEN))
        .zip(second_moment.par_chunks_mut(CHUNK_LEN))
        .zip(grad.par_chunks(CHUNK_LEN))
        .enumerate()
        .for_each(|(i, (((p, m), v), g))| update(i * CHUNK_LEN, p, m, v, g));
}

/// The first SGD update: `grad` becomes the velocity.
pub(crate) fn sgd_first(parameter: &mut [f32], grad: &mut [f32], step: SgdStep) {
    let SgdStep {
        grad_scale,
        learning_rate,
        weight_decay,
        ..
    } = step;
    let learning_rate = learning_rate as f32;
    let update = |p: &mut [f32], g: &mut [f32]| {
        simd_dispatch(
            #[inline(always)]
            || {
                for (p, g) in p.iter_mut().zip(g) {
                    *g = *p * weight_decay + *g * grad_scale;
                    *p -= *g * learning_rate;
                }
            },
        );
    };
    parameter
        .par_chunks_mut(CHUNK_LEN)
        .zip(grad.par_chunks_mut(CHUNK_LEN))
        .for_each(|(p, g)| update(p, g));
}

/// A later SGD update.
pub(crate) fn sgd(parameter: &mut [f32], velocity: &mut [f32], grad: &[f32], step: SgdStep) {
    let SgdStep {
        grad_scale,
        learning_rate,
        weight_decay,
        momentum,
    } = step;
    let learning_rate = learning_rate as f32;
    let update = |p: &mut [f32], v: &mut [f32], g: &[f32]| {
        simd_dispatch(
            #[inline(always)]
            || {
                let mut staged = ([0f32; STAGING_LEN], [0f32; STAGING_LEN]);
                let chunks = p.chunks_mut(STAGING_LEN).zip(v.chunks_mut(STAGING_LEN));
                for ((p, v), g) in chunks.zip(g.chunks(STAGING_LEN)) {
                    let out = staged.0.iter_mut().zip(&mut staged.1);
                    for ((new_p, new_v), ((p, v), g)) in out.zip(p.iter().zip(&*v).zip(g)) {
                        *new_v = *p * weight_decay + *g * grad_scale + *v * momentum;
                        *new_p = *p - *new_v * learning_rate;
                    }
                    p.copy_from_slice(&staged.0[..p.len()]);
                    v.copy_from_slice(&staged.1[..v.len()]);
                }
            },
        );
    };
    parameter
        .par_chunks_mut(CHUNK_LEN)
        .zip(velocity.par_chunks_mut(CHUNK_LEN))
        .zip(grad.par_chunks(CHUNK_LEN))
        .for_each(|((p, v), g)| update(p, v, g));
}
