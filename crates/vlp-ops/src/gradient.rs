//! Operations with a gradient of their own, composed of burn's operations: fewer and larger kernels than those of the
//! gradient that autodiff composes.
//!
//! Needed as long as burn's autodiff takes layer norm, softmax and attention apart into single operations.

use std::sync::{Arc, Mutex};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor};
use burn::prelude::*;

/// Gradients of the inputs in their order, each of its input's shape.
pub(crate) type Slopes<const N: usize> = [DispatchTensor; N];

/// Gradients of the inputs, from the output's.
type Rule<const D: usize, const N: usize> = Box<dyn FnOnce(Tensor<D>) -> Slopes<N> + Send>;

/// What is kept until the backward pass.
struct Kept<const D: usize, const N: usize>(Arc<Mutex<Option<Rule<D, N>>>>);

impl<const D: usize, const N: usize> Clone for Kept<D, N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<const D: usize, const N: usize> std::fmt::Debug for Kept<D, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a rule for {N} inputs")
    }
}

#[derive(Debug)]
struct Own<const D: usize>;

impl<B: Backend, const D: usize, const N: usize> Backward<B, N> for Own<D>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = Kept<D, N>;

    fn backward(self, ops: Ops<Kept<D, N>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = Tensor::from_primitive::<B>(grads.consume::<B>(&ops.node));
        let rule = ops.state.0.lock().ok().and_then(|mut rule| rule.take());
        let Some(rule) = rule else { return };
        for (node, slope) in ops.parents.into_iter().zip(rule(grad)) {
            let slope = Tensor::<1>::from_dispatch(slope).try_into_primitive::<B>();
            if let (Some(node), Ok(slope)) = (node, slope) {
                grads.register::<B>(node.id, slope);
            }
        }
    }
}

/// The tensor as the autodiff graph of this backend knows it.
pub(crate) fn tracked<B: Backend, const D: usize>(x: &Tensor<D>) -> Option<FloatTensor<Autodiff<B>>>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    x.clone().try_into_primitive::<Autodiff<B>>().ok()
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
        OpsKind::Tracked(prep) => {
            let rule: Rule<D, N> = Box::new(rule);
            prep.finish(Kept(Arc::new(Mutex::new(Some(rule)))), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}
