//! One AdamW update (Loshchilov & Hutter 2019) in one pass, in place where the tensors are not shared.
//!
//! Needed as long as burn's optimizer is a dozen element-wise passes, which its CPU backend runs on one thread.

use burn::prelude::*;

use super::stochastic_rounding::{moment_dtype, round_to_bf16};
use crate::AdamWStep;

/// Returns `(parameter, first moment, second moment)` after the update, all of one shape. Without `moments` they start at
/// zero.
pub fn adamw<const D: usize>(
    parameter: Tensor<D>,
    grad: Tensor<D>,
    moments: Option<(Tensor<D>, Tensor<D>)>,
    step: AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let (grad_dtype, dtype) = (grad.dtype(), moment_dtype(step.bf16_moments, grad.dtype()));
    let (first, second) = match moments {
        Some((first, second)) if first.dtype() == dtype && second.dtype() == dtype => {
            (first, second)
        }
        Some((first, second)) => (first.cast(dtype), second.cast(dtype)),
        None => {
            let zeros = Tensor::zeros(grad.dims(), (&grad.device(), dtype));
            (zeros.clone(), zeros)
        }
    };
    cpu_path! {
        use crate::dispatch::{takes_fast_path, takes_fast_path_as};
        let fits = |t: &&Tensor<D>| !t.device().is_autodiff() && t.dims() == grad.dims();
        let moments_fit = takes_fast_path_as(&first, dtype) && takes_fast_path_as(&second, dtype);
        if [&parameter, &grad, &first, &second].iter().all(fits)
            && takes_fast_path(&parameter)
            && takes_fast_path(&grad)
            && moments_fit
        {
            return update_in_place(parameter, grad, first, second, step);
        }
    }
    let grad = scale_grad(grad, step.grad_scale);
    let [first, second] = [first, second].map(|moment| moment.cast(grad_dtype));
    let first = first.mul_scalar(step.beta1) + grad.clone().mul_scalar(1.0 - step.beta1);
    let second = second.mul_scalar(step.beta2) + grad.square().mul_scalar(1.0 - step.beta2);
    let [bias_correction1, bias_correction2] = step.bias_corrections();
    let mean = first.clone().div_scalar(bias_correction1);
    let square = second.clone().div_scalar(bias_correction2);
    let delta = mean.div(square.sqrt().add_scalar(step.corrected_epsilon()));
    let decayed = parameter.mul_scalar(step.retained());
    let to_dtype = |moment| match step.bf16_moments {
        true => round_to_bf16(moment),
        false => moment,
    };
    (
        decayed - delta.mul_scalar(step.update_rate()),
        to_dtype(first),
        to_dtype(second),
    )
}

/// `grad * factor`, without a pass for 1.
pub(crate) fn scale_grad<const D: usize>(grad: Tensor<D>, factor: f32) -> Tensor<D> {
    if factor == 1.0 {
        return grad;
    }
    grad.mul_scalar(factor)
}

cpu_path! {
    fn update_in_place<const D: usize>(
        parameter: Tensor<D>,
        grad: Tensor<D>,
        first: Tensor<D>,
        second: Tensor<D>,
        step: AdamWStep,
    ) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
        use crate::cpu::optimizer;
        use crate::cpu::tensor::{as_slice, into_array, into_writable};
        use burn::tensor::bf16;

        let [parameter, grad, first, second] = [parameter, grad, first, second].map(into_array);
        let (mut parameter, grad) = (into_writable(parameter), into_writable(grad));
        let (mut first, mut second) = (into_writable(first), into_writable(second));
        let (p, g) = (parameter.storage_mut::<f32>(), as_slice(&grad));
        if step.bf16_moments {
            let (m, v) = (first.storage_mut::<bf16>(), second.storage_mut::<bf16>());
            optimizer::adamw(p, g, m, v, step);
        } else {
            let (m, v) = (first.storage_mut::<f32>(), second.storage_mut::<f32>());
            optimizer::adamw(p, g, m, v, step);
        }
        let tensor = Tensor::from_primitive::<burn::backend::Flex>;
        (tensor(parameter), tensor(first), tensor(second))
    }
}
