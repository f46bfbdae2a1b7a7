//! Recomputation on a backend with autodiff.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;

use crate::graph::{Once, autodiff_primitive};
use crate::params::copy_leaves;
use crate::replay;

/// Gradients of the inputs and of every parameter in the order of a visit; `None` if there is none.
struct RecomputedGrads<B: Backend> {
    inputs: [Option<FloatTensor<B>>; 2],
    parameters: Vec<Option<FloatTensor<B>>>,
}

/// The second forward pass and its gradients, from the gradient of the output.
type SecondPass<B> = Box<dyn FnOnce(FloatTensor<B>) -> RecomputedGrads<B> + Send>;

#[derive(Debug, Clone)]
struct State<B: Backend> {
    second_pass: Once<SecondPass<B>>,
    parameters: Vec<Option<NodeId>>,
}

#[derive(Debug)]
struct Recompute;

impl<B: Backend> Backward<B, 3> for Recompute {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad_output = grads.consume::<B>(&ops.node);
        let Some(second_pass) = ops.state.second_pass.take() else {
            return;
        };
        let recomputed = second_pass(grad_output);
        let [x, second, _] = ops.parents;
        let inputs = [x, second].map(|node| node.map(|node| node.id));
        let nodes = inputs.into_iter().chain(ops.state.parameters);
        let recomputed = recomputed.inputs.into_iter().chain(recomputed.parameters);
        for (node, grad) in nodes.zip(recomputed) {
            if let (Some(node), Some(grad)) = (node, grad) {
                grads.register::<B>(node, grad);
            }
        }
    }
}

/// A scalar whose gradient with respect to its one parent is given: the root of the second pass.
#[derive(Debug)]
struct Root;

impl<B: Backend> Backward<B, 1> for Root {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, ops.state);
        }
    }
}

/// Every tracked parameter in the autodiff graph; `None` for the others.
struct TrackedParams<B: Backend>(Vec<Option<FloatTensor<Autodiff<B>>>>);

impl<B: Backend> ModuleVisitor for TrackedParams<B>
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().try_into_primitive::<Autodiff<B>>().ok();
        self.0.push(value.filter(|value| value.is_tracked()));
    }
}

/// Gradients of every parameter in the same order.
struct ParamGrads<'a, B: Backend> {
    all: &'a Gradients,
    grads: Vec<Option<FloatTensor<B>>>,
}

impl<B: Backend> ModuleVisitor for ParamGrads<'_, B>
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().try_into_primitive::<Autodiff<B>>();
        let grad = value.ok().and_then(|value| self.all.get::<B>(&value));
        self.grads.push(grad);
    }
}

/// The input of a layer, and the optional second one.
type Inputs<const D: usize> = (Tensor<D>, Option<Tensor<D>>);

/// Whether the tensor is on this backend, with autodiff.
pub(super) fn accepts<B: Backend, const D: usize>(x: &Tensor<D>) -> bool
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    autodiff_primitive::<B, D>(x).is_some()
}

/// [`super::recompute`] on this backend. Where an input is on another one, `f` runs without recomputation.
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
    let second = inputs.1.as_ref().map(autodiff_primitive::<B, D>);
    let first = autodiff_primitive::<B, D>(&inputs.0);
    let (Some(first), None | Some(Some(_))) = (first, &second) else {
        return f(module, inputs.0, inputs.1);
    };
    let second = second.flatten();
    let mut parameters = TrackedParams::<B>(vec![]);
    module.visit(&mut parameters);
    let parameters = parameters.0;
    let tracked = [
        first.is_tracked(),
        second.as_ref().is_some_and(|x| x.is_tracked()),
    ];
    // One tracked parameter as a parent suffices for the graph to reach the layer.
    let tracked_param = parameters.iter().flatten().next();
    if tracked_param.is_none() && tracked == [false; 2] {
        return f(module, inputs.0, inputs.1);
    }
    let nodes = [
        first.node(),
        second.as_ref().unwrap_or(&first).node(),
        tracked_param.unwrap_or(&first).node(),
    ];

    // First pass: nothing is tracked, so that no activation is stored.
    let constant = |x: Tensor<D>| Tensor::from_inner(x.inner());
    let (x, second) = (constant(inputs.0), inputs.1.map(constant));
    let frozen = module.clone().no_grad();
    let (output, samples) = replay::record(|| f(&frozen, x.clone(), second.clone()));
    drop(frozen);
    // `f` computed it from tensors of this backend.
    #[allow(clippy::expect_used)]
    let output = output
        .inner()
        .try_into_primitive::<B>()
        .expect("a float tensor of the input's backend");

    // The second pass has its own autodiff graph, so its parameters need their own nodes.
    let module = copy_leaves(module);
    let second_pass = move |grad_output: FloatTensor<B>| {
        let leaf = |x: Tensor<D>, tracked| if tracked { x.require_grad() } else { x };
        let x = leaf(x, tracked[0]);
        let second = second.map(|x| leaf(x, tracked[1]));
        let forward = || f(&module, x.clone(), second.clone());
        let all = backward_from(replay::replay(samples, forward), grad_output);
        let grad = |x: &Tensor<D>| autodiff_primitive::<B, D>(x).and_then(|x| all.get::<B>(&x));
        let inputs = [grad(&x), second.as_ref().and_then(grad)];
        let mut params = ParamGrads::<B> {
            all: &all,
            grads: vec![],
        };
        module.visit(&mut params);
        RecomputedGrads {
            inputs,
            parameters: params.grads,
        }
    };
    let state = State::<B> {
        second_pass: Once::new(Box::new(second_pass)),
        parameters: parameters
            .iter()
            .map(|parameter| parameter.as_ref().map(|parameter| parameter.id()))
            .collect(),
    };
    let prep = Recompute.prepare::<NoCheckpointing>(nodes).compute_bound();
    let output = match prep.stateful() {
        OpsKind::Tracked(prep) => prep.finish(state, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

/// All gradients, from that of `output`.
fn backward_from<B: Backend, const E: usize>(
    output: Tensor<E>,
    grad_output: FloatTensor<B>,
) -> Gradients
where
    DispatchTensor: DispatchKindConversion<Autodiff<B>>,
{
    // As in the first pass.
    #[allow(clippy::expect_used)]
    let output =
        autodiff_primitive::<B, E>(&output).expect("a float tensor of the input's backend");
    let scalar = B::float_zeros(
        [1].into(),
        &grad_output.device(),
        grad_output.dtype().into(),
    );
    let prep = Backward::<B, 1>::prepare::<NoCheckpointing>(Root, [output.node()]);
    let root = match prep.compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(grad_output, scalar),
        OpsKind::UnTracked(prep) => prep.finish(scalar),
    };
    root.backward()
}
