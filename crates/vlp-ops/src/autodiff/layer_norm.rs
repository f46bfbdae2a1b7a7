//! [`layer_norm`](crate::layer_norm()) on the CPU.

use burn::backend::ops::ModuleOps;

use super::prelude::*;
use crate::cpu::layer_norm::layer_norm_backward;

#[backend_extension(Flex, Autodiff)]
trait LayerNormBackend: Backend {
    fn last_axis_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
}

pub(crate) fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as LayerNormBackend>::last_axis_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        epsilon,
    ))
}

impl LayerNormBackend for Flex {
    fn last_axis_norm(x: Array, gamma: Array, beta: Array, epsilon: f64) -> Array {
        // burn's forward pass is fast already.
        Flex::layer_norm(x, gamma, Some(beta), epsilon)
    }
}

impl<C: CheckpointStrategy> LayerNormBackend for Autodiff<Flex, C> {
    fn last_axis_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let inputs = [x.node(), gamma.node(), beta.node()];
        let (x, gamma) = (x.primitive().clone(), gamma.primitive().clone());
        let beta = beta.primitive().clone();
        let output = Flex::last_axis_norm(x.clone(), gamma.clone(), beta, epsilon);
        record::<C, _, _>(inputs, output, |_, _| (x, gamma, epsilon), backward)
    }
}

fn backward((x, gamma, epsilon): (Array, Array, f64), grad: Array, parents: &mut Parents<'_, 3>) {
    let mut grad = into_writable(grad);
    let (x, gamma) = (contiguous(&x), contiguous(&gamma));
    let (x, gamma) = (as_slice(&x), as_slice(&gamma));
    let [grad_gamma, grad_beta] =
        layer_norm_backward(x, gamma, epsilon as f32, grad.storage_mut::<f32>());
    parents.add_grad(0, grad);
    parents.add_grad(1, from_vec(grad_gamma, [gamma.len()]));
    parents.add_grad(2, from_vec(grad_beta, [gamma.len()]));
}
