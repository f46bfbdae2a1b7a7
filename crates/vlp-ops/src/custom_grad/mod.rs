//! Operations composed of burn's, with a gradient of their own: fewer and larger kernels on a GPU than those that autodiff
//! composes.
//!
//! Needed as long as burn's autodiff takes layer norm, GELU and attention apart into single operations.
// On a build for the CPU alone, only the tests use them.
#![cfg_attr(not(feature = "gpu"), allow(dead_code))]

#[cfg(feature = "gpu")]
pub(crate) mod affine;
#[cfg(feature = "gpu")]
pub(crate) mod attention;
#[cfg(feature = "gpu")]
pub(crate) mod boxes;
pub(crate) mod dropout;
#[cfg(feature = "gpu")]
pub(crate) mod embedding;
pub(crate) mod gelu;
#[cfg(feature = "gpu")]
pub(crate) mod layer_norm;
#[cfg(feature = "gpu")]
pub(crate) mod log_prob;
#[cfg(feature = "gpu")]
pub(crate) mod matmul;

#[cfg(feature = "gpu")]
use burn::backend::Cube;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

#[cfg(feature = "gpu")]
use crate::capture::Value;
#[cfg(feature = "gpu")]
use crate::cube::{Primitive, primitive};
use crate::graph::Once;

/// Gradients of the inputs in their order, each of its input's shape.
pub(crate) type InputGrads<const N: usize> = [DispatchTensor; N];

/// Computes the gradients of the inputs from that of the output.
type GradFn<const D: usize, const N: usize> = Box<dyn FnOnce(Tensor<D>) -> InputGrads<N> + Send>;

#[derive(Debug)]
struct CustomGrad<const D: usize>;

impl<B: Backend, const D: usize, const N: usize> Backward<B, N> for CustomGrad<D>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = Once<GradFn<D, N>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad_output = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let Some(grad_fn) = ops.state.take() else {
            return;
        };
        for (node, grad) in ops.parents.into_iter().zip(grad_fn(grad_output)) {
            let grad = Tensor::<1>::from_dispatch(grad).try_into_primitive::<B>();
            if let (Some(node), Ok(grad)) = (node, grad) {
                grads.register::<B>(node.id, grad);
            }
        }
    }
}

/// `output`, computed from `inputs` without autodiff, with the gradients that `grad_fn` gives.
pub(crate) fn with_gradient<B: Backend, const D: usize, const N: usize>(
    output: Tensor<D>,
    inputs: [FloatTensor<Autodiff<B>>; N],
    grad_fn: impl FnOnce(Tensor<D>) -> InputGrads<N> + Send + 'static,
) -> Tensor<D>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    // It was computed from tensors of this backend.
    #[allow(clippy::expect_used)]
    let output = output
        .try_into_primitive::<B>()
        .expect("a float tensor of the inputs' backend");
    let nodes = inputs.each_ref().map(|input| input.node());
    let prep = Backward::<B, N>::prepare::<NoCheckpointing>(CustomGrad::<D>, nodes);
    let output = match prep.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(Once::new(Box::new(grad_fn) as GradFn<D, N>), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

/// As [`with_gradient`], with gradients that kernels of a GPU compute from that of the output; `None` for a gradient that is not
/// on a GPU.
#[cfg(feature = "gpu")]
pub(crate) fn with_kernel_gradient<const D: usize, const N: usize>(
    output: Tensor<D>,
    inputs: [FloatTensor<Autodiff<Cube>>; N],
    kernels: impl FnOnce(Primitive) -> Option<[Value; N]> + Send + 'static,
) -> Tensor<D> {
    with_gradient::<Cube, D, N>(output, inputs, move |grad| {
        // It is where the output is, which a kernel has computed.
        #[allow(clippy::expect_used)]
        let grads = primitive(&grad).and_then(kernels).expect("on a GPU");
        grads.map(Value::into_dispatch)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use burn::prelude::*;
    use vlp_testing::{max_abs_diff, random};

    /// Asserts that two functions of flat inputs of these lengths give the same values and gradients, to `tolerance`.
    #[allow(clippy::expect_used)]
    pub(crate) fn assert_same_gradients(
        lengths: &[usize],
        tolerance: f64,
        first: impl Fn(&[Tensor<1>]) -> Tensor<1>,
        second: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    ) {
        let device = Device::flex().autodiff();
        let leaf = |(seed, length): (usize, &usize)| {
            let values: Tensor<1> = random([*length], seed as u64 + 1, &device);
            values.mul_scalar(2.0).detach().require_grad()
        };
        let inputs: Vec<_> = lengths.iter().enumerate().map(leaf).collect();
        let values_and_grads = |y: Tensor<1>| {
            let weights = random(y.dims(), 77, &device);
            let grads = (y.clone() * weights).sum().backward();
            let grad = |x: &Tensor<1>| x.grad(&grads).expect("a gradient");
            (y.inner(), inputs.iter().map(grad).collect::<Vec<_>>())
        };
        let (y1, grads1) = values_and_grads(first(&inputs));
        let (y2, grads2) = values_and_grads(second(&inputs));
        assert!(max_abs_diff(y1, y2) < tolerance);
        for (grad1, grad2) in grads1.into_iter().zip(grads2) {
            assert!(max_abs_diff(grad1, grad2) < tolerance);
        }
    }
}
