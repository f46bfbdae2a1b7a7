//! Operations with a gradient of their own, composed of burn's operations: fewer and larger kernels than those of the
//! gradient that autodiff composes.
//!
//! Needed as long as burn's autodiff takes layer norm, softmax and attention apart into single operations.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

use crate::node::Once;

/// Gradients of the inputs in their order, each of its input's shape.
pub(crate) type Slopes<const N: usize> = [DispatchTensor; N];

/// Gradients of the inputs, from the output's.
type Rule<const D: usize, const N: usize> = Box<dyn FnOnce(Tensor<D>) -> Slopes<N> + Send>;

#[derive(Debug)]
struct Own<const D: usize>;

impl<B: Backend, const D: usize, const N: usize> Backward<B, N> for Own<D>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = Once<Rule<D, N>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let Some(rule) = ops.state.take() else { return };
        for (node, slope) in ops.parents.into_iter().zip(rule(grad)) {
            let slope = Tensor::<1>::from_dispatch(slope).try_into_primitive::<B>();
            if let (Some(node), Ok(slope)) = (node, slope) {
                grads.register::<B>(node.id, slope);
            }
        }
    }
}

/// `output`, computed from `inputs` without autodiff, with the gradients that `rule` makes of its own.
pub(crate) fn with_gradient<B: Backend, const D: usize, const N: usize>(
    output: Tensor<D>,
    inputs: [FloatTensor<Autodiff<B>>; N],
    rule: impl FnOnce(Tensor<D>) -> Slopes<N> + Send + 'static,
) -> Tensor<D>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    // It was made of tensors of this backend.
    #[allow(clippy::expect_used)]
    let output = output
        .try_into_primitive::<B>()
        .expect("a float tensor of the inputs' backend");
    let nodes = inputs.each_ref().map(|input| input.node());
    let prepared = Backward::<B, N>::prepare::<NoCheckpointing>(Own::<D>, nodes);
    let output = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(Once::new(Box::new(rule) as Rule<D, N>), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

#[cfg(all(test, feature = "flex"))]
pub(crate) mod tests {
    use burn::prelude::*;
    use vlp_testing::{distance, random};

    /// Holds two ways from flat inputs of these sizes to the same values, and the same gradients of every input, to `tolerance`.
    #[allow(clippy::expect_used)]
    pub(crate) fn agree(
        sizes: &[usize],
        tolerance: f64,
        one: impl Fn(&[Tensor<1>]) -> Tensor<1>,
        other: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    ) {
        let device = Device::flex().autodiff();
        let leaf = |(seed, size): (usize, &usize)| {
            let values: Tensor<1> = random([*size], seed as u64 + 1, &device);
            values.mul_scalar(2.0).detach().require_grad()
        };
        let inputs: Vec<_> = sizes.iter().enumerate().map(leaf).collect();
        let run = |y: Tensor<1>| {
            let c = random(y.dims(), 77, &device);
            let grads = (y.clone() * c).sum().backward();
            let slope = |x: &Tensor<1>| x.grad(&grads).expect("a gradient");
            (y.inner(), inputs.iter().map(slope).collect::<Vec<_>>())
        };
        let ((y, slopes), (other, others)) = (run(one(&inputs)), run(other(&inputs)));
        assert!(distance(y, other) < tolerance);
        for (one, other) in slopes.into_iter().zip(others) {
            assert!(distance(one, other) < tolerance);
        }
    }
}
