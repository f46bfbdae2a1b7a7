//! The operation's way through a backend with autodiff.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;

use super::replay;
use crate::node::{Once, known};

/// Gradients of the inputs and of every parameter in the order of a visit, where they are wanted.
struct Found<B: Backend> {
    inputs: [Option<FloatTensor<B>>; 2],
    parameters: Vec<Option<FloatTensor<B>>>,
}

/// The second pass and its gradients, from the output's gradient.
type Second<B> = Box<dyn FnOnce(FloatTensor<B>) -> Found<B> + Send>;

/// What is kept until the backward pass.
#[derive(Debug, Clone)]
struct Kept<B: Backend> {
    second: Once<Second<B>>,
    parameters: Vec<Option<NodeId>>,
}

#[derive(Debug)]
struct Recompute;

impl<B: Backend> Backward<B, 3> for Recompute {
    type State = Kept<B>;

    fn backward(self, ops: Ops<Kept<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let Some(second) = ops.state.second.take() else {
            return;
        };
        let found = second(grad);
        let [x, beside, _] = ops.parents;
        let inputs = [x, beside].map(|node| node.map(|node| node.id));
        let nodes = inputs.into_iter().chain(ops.state.parameters);
        let found = found.inputs.into_iter().chain(found.parameters);
        for (node, grad) in nodes.zip(found) {
            if let (Some(node), Some(grad)) = (node, grad) {
                grads.register::<B>(node, grad);
            }
        }
    }
}

/// A loss whose gradient by its one parent is given: where the second pass starts back from.
#[derive(Debug)]
struct Start;

impl<B: Backend> Backward<B, 1> for Start {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, ops.state);
        }
    }
}

/// Every parameter as the autodiff graph knows it; `None` for what stands still.
struct Parameters<B: Backend>(Vec<Option<FloatTensor<Autodiff<B>>>>);

impl<B: Backend> ModuleVisitor for Parameters<B>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().try_into_primitive::<Autodiff<B>>().ok();
        self.0.push(value.filter(|value| value.is_tracked()));
    }
}

/// Every parameter's gradient in the same order.
struct Slopes<'a, B: Backend> {
    all: &'a Gradients,
    found: Vec<Option<FloatTensor<B>>>,
}

impl<B: Backend> ModuleVisitor for Slopes<'_, B>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().try_into_primitive::<Autodiff<B>>();
        self.found
            .push(value.ok().and_then(|value| self.all.get::<B>(&value)));
    }
}

/// A layer's input, and a second one where it has one.
pub(super) type Inputs<const D: usize> = (Tensor<D>, Option<Tensor<D>>);

/// Whether a tensor is of this backend, with autodiff.
pub(super) fn knows<B: Backend, const D: usize>(x: &Tensor<D>) -> bool
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    known::<B, D>(x).is_some()
}

/// As [`super::recompute`] on this backend, whose the inputs must be.
pub(super) fn run<B, M, F, const D: usize, const E: usize>(
    module: &M,
    inputs: Inputs<D>,
    f: F,
) -> Tensor<E>
where
    B: Backend,
    M: Module + 'static,
    F: Fn(&M, Tensor<D>, Option<Tensor<D>>) -> Tensor<E> + Send + 'static,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let second = inputs.1.as_ref().map(known::<B, D>);
    let (Some(first), None | Some(Some(_))) = (known::<B, D>(&inputs.0), &second) else {
        return f(module, inputs.0, inputs.1);
    };
    let second = second.flatten();
    let mut parameters = Parameters::<B>(vec![]);
    module.visit(&mut parameters);
    let parameters = parameters.0;
    let tracked = [
        first.is_tracked(),
        second.as_ref().is_some_and(|x| x.is_tracked()),
    ];
    // The graph reaches the layer by any of its parents.
    let handle = parameters.iter().flatten().next();
    if handle.is_none() && tracked == [false; 2] {
        return f(module, inputs.0, inputs.1);
    }
    let nodes = [
        first.node(),
        second.as_ref().unwrap_or(&first).node(),
        handle.unwrap_or(&first).node(),
    ];

    // The first pass: nothing is tracked, so that nothing is kept.
    let device = inputs.0.device();
    let constant = |x: Tensor<D>| Tensor::from_inner(x.inner());
    let (x, beside) = (constant(inputs.0), inputs.1.map(constant));
    let still = module.clone().no_grad();
    let (output, draws) = replay::first(|| f(&still, x.clone(), beside.clone()));
    drop(still);
    // What `f` made of tensors of this backend is one of it.
    #[allow(clippy::expect_used)]
    let output = output
        .inner()
        .try_into_primitive::<B>()
        .expect("a float tensor of the input's backend");

    // Parameters with nodes of their own: the second pass is a graph of its own.
    let module = module.clone().fork(&device);
    let second = move |grad: FloatTensor<B>| {
        let leaf = |x: Tensor<D>, tracked| if tracked { x.require_grad() } else { x };
        let x = leaf(x, tracked[0]);
        let beside = beside.map(|x| leaf(x, tracked[1]));
        let again = || f(&module, x.clone(), beside.clone());
        let all = from(replay::second(draws, again), grad);
        let slope = |x: &Tensor<D>| known::<B, D>(x).and_then(|x| all.get::<B>(&x));
        let inputs = [slope(&x), beside.as_ref().and_then(slope)];
        let found = vec![];
        let mut slopes = Slopes::<B> { all: &all, found };
        module.visit(&mut slopes);
        Found {
            inputs,
            parameters: slopes.found,
        }
    };
    let kept = Kept::<B> {
        second: Once::new(Box::new(second)),
        parameters: parameters
            .iter()
            .map(|p| p.as_ref().map(|p| p.id()))
            .collect(),
    };
    let prepared = Recompute.prepare::<NoCheckpointing>(nodes);
    let output = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(kept, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

/// All gradients, from that of `output`.
fn from<B: Backend, const E: usize>(output: Tensor<E>, grad: FloatTensor<B>) -> Gradients
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    // As in the first pass.
    #[allow(clippy::expect_used)]
    let output = known::<B, E>(&output).expect("a float tensor of the input's backend");
    let one = B::float_zeros([1].into(), &grad.device(), grad.dtype().into());
    let prepared = Backward::<B, 1>::prepare::<NoCheckpointing>(Start, [output.node()]);
    let start = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(grad, one),
        OpsKind::UnTracked(prep) => prep.finish(one),
    };
    start.backward()
}
