//! The convolution's way through the backends.

use burn::backend::autodiff::NodeId;
use burn::backend::ops::ModuleOps;
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;

use super::sizes::Sizes;
use super::{forward, gradients, winograd};
use crate::Window;
use crate::flex::tape::*;
use crate::flex::{Array, array, dense, values};

#[backend_extension(Flex, Autodiff)]
pub(super) trait ConvBackend: Backend {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;
}

pub(super) fn conv2d(x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as ConvBackend>::convolve(
        x.into_dispatch(),
        weight.into_dispatch(),
        window,
    ))
}

impl ConvBackend for Flex {
    fn convolve(x: Array, weight: Array, window: Window) -> Array {
        output(x, weight, window, false)
    }
}

/// Values that gradients will follow are summed over taps, in short runs: their rounding decides which inputs around
/// zero a ReLU lets pass, and with that whole gradients. Without gradients it moves outputs by as little as it is.
fn output(x: Array, weight: Array, window: Window, gradients: bool) -> Array {
    let sizes = Sizes::new(x.shape().dims(), weight.shape().dims(), window);
    if sizes.tiny() {
        sizes.count();
        let Window {
            stride,
            padding,
            dilation,
        } = window;
        let options = ConvOptions::new(stride, padding, dilation, 1);
        return Flex::conv2d(x, weight, None, options);
    }
    let (x, weight) = (dense(&x), dense(&weight));
    let (x, weight) = (values(&x), values(&weight));
    let out = if !gradients && winograd::pays(&sizes) {
        winograd::convolve(&sizes, x, weight)
    } else {
        forward::forward(&sizes, x, weight)
    };
    array(out, sizes.result())
}

#[derive(Debug)]
struct Convolve;

impl Backward<Flex, 2> for Convolve {
    type State = (Option<NodeId>, Option<NodeId>, Sizes);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (x, weight, sizes) = ops.state;
        let grad = dense(&grads.consume::<Flex>(&ops.node));
        let [to_x, to_weight] = ops.parents;
        if let (Some(node), Some(weight)) = (to_x, weight) {
            let weight = dense(&checkpointer.retrieve_node_output::<Array>(weight));
            let values = gradients::to_input(&sizes, values(&grad), values(&weight));
            grads.register::<Flex>(node.id, array(values, sizes.source()));
        }
        if let (Some(node), Some(x)) = (to_weight, x) {
            let x = dense(&checkpointer.retrieve_node_output::<Array>(x));
            let values = gradients::to_weight(&sizes, values(&grad), values(&x));
            grads.register::<Flex>(node.id, array(values, sizes.weight()));
        }
    }
}

impl<C: CheckpointStrategy> ConvBackend for Autodiff<Flex, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        let sizes = Sizes::new(x.shape().dims(), weight.shape().dims(), window);
        let output = output(
            x.primitive().clone(),
            weight.primitive().clone(),
            window,
            true,
        );
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        match Convolve
            .prepare::<C>([x.node(), weight.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let x = weight_tracked.then(|| prep.checkpoint(&x));
                let weight = x_tracked.then(|| prep.checkpoint(&weight));
                prep.finish((x, weight, sizes), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
