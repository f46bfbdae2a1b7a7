//! One node of the autodiff graph for all operations.

use std::fmt::Debug;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind, OpsPrep, Tracked};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

use crate::cpu::tensor::Array;

/// Registers the gradients of an operation's `N` inputs, from its state and the gradient of its output.
type BackwardFn<S, const N: usize> = fn(S, Array, &mut Parents<'_, N>);

/// Saves inputs for the backward pass.
pub(crate) type Saver<S, C, const N: usize> = OpsPrep<Node<S, N>, Flex, S, C, N, Tracked>;

/// Adds `output`, which was computed from `inputs`, to the autodiff graph. If one of the inputs needs a gradient, `state`
/// returns the state for `backward`; it can save inputs with `Saver::checkpoint`, to be read with [`Parents::saved`].
pub(crate) fn record<C, S, const N: usize>(
    inputs: [NodeGuard; N],
    output: Array,
    state: impl FnOnce(&Array, &mut Saver<S, C, N>) -> S,
    backward: BackwardFn<S, N>,
) -> FloatTensor<Autodiff<Flex, C>>
where
    S: Clone + Send + Debug + 'static,
    C: CheckpointStrategy,
{
    let prep = Node { backward }.prepare::<C>(inputs).compute_bound();
    match prep.stateful() {
        OpsKind::Tracked(mut prep) => {
            let state = state(&output, &mut prep);
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

pub(crate) struct Node<S, const N: usize> {
    backward: BackwardFn<S, N>,
}

impl<S, const N: usize> Debug for Node<S, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::any::type_name::<S>())
    }
}

impl<S: Clone + Send + Debug + 'static, const N: usize> Backward<Flex, N> for Node<S, N> {
    type State = S;

    fn backward(self, ops: Ops<S, N>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad_output = grads.consume::<Flex>(&ops.node);
        let ids = ops.parents.map(|node| node.map(|node| node.id));
        let mut parents = Parents {
            ids,
            grads,
            checkpointer,
        };
        (self.backward)(ops.state, grad_output, &mut parents);
    }
}

/// The inputs of an operation in the backward pass.
pub(crate) struct Parents<'a, const N: usize> {
    ids: [Option<NodeId>; N],
    pub(crate) grads: &'a mut Gradients,
    checkpointer: &'a mut Checkpointer,
}

impl<const N: usize> Parents<'_, N> {
    /// Whether input `index` needs a gradient.
    pub(crate) fn is_tracked(&self, index: usize) -> bool {
        self.ids[index].is_some()
    }

    /// Adds to the gradient of input `index`, if it needs one.
    pub(crate) fn add_grad(&mut self, index: usize, grad: Array) {
        if let Some(id) = self.ids[index] {
            self.grads.register::<Flex>(id, grad);
        }
    }

    /// A saved input.
    pub(crate) fn saved(&mut self, id: NodeId) -> Array {
        self.checkpointer.retrieve_node_output::<Array>(id)
    }
}
