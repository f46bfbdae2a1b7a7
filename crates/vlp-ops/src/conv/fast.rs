//! The convolution's way through the backends.

use burn::backend::autodiff::NodeId;
use burn::backend::ops::ModuleOps;
use burn::prelude::*;
use burn::tensor::ops::ConvOptions;

use super::kernels::Weight;
use super::sizes::Sizes;
use super::{direct, forward, gradients, tiles, winograd};
use crate::Window;
use crate::finish::Finish;
use crate::flex::tape::*;
use crate::flex::{Array, array, blocks, dense, owned, values};
use crate::matrix::Matrix;

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
        output(x, weight, window, false, None)
    }
}

/// Values that gradients will follow are summed over taps, in several levels: their rounding decides which inputs around
/// zero a ReLU lets pass, and with that whole gradients. Without gradients it moves outputs by as little as it is.
pub(super) fn output(
    x: Array,
    weight: Array,
    window: Window,
    gradients: bool,
    finish: Option<&Finish<'_>>,
) -> Array {
    let sizes = Sizes::new(x.shape().dims(), weight.shape().dims(), window);
    let by_squares = !gradients && winograd::pays(&sizes);
    let by_taps = !by_squares && direct::pays(&sizes);
    let (x, weight) = (dense(&x), dense(&weight));
    let taps: Vec<usize> = (0..sizes.taps()).collect();
    let kernels = Weight::of(&sizes, values(&weight), &taps);
    if let Some(out) = tiles::convolve(&sizes, values(&x), kernels, finish) {
        return array(out, sizes.result());
    }
    if !by_squares && !by_taps && sizes.tiny() {
        return own(x.clone(), weight.clone(), &sizes, finish);
    }
    let (x, weight) = (values(&x), values(&weight));
    let out = if by_squares {
        winograd::convolve(&sizes, x, kernels, winograd::RUN, finish)
    } else if by_taps {
        direct::convolve(&sizes, x, kernels, finish)
    } else {
        let weight = Matrix::of_rows(weight, sizes.input * sizes.taps());
        let run = match gradients {
            true => forward::run(&sizes),
            false => usize::MAX,
        };
        forward::convolve(&sizes, x, weight, run, finish)
    };
    array(out, sizes.result())
}

/// As [`output`], by burn's own convolution.
fn own(x: Array, weight: Array, sizes: &Sizes, finish: Option<&Finish<'_>>) -> Array {
    sizes.count();
    let Window {
        stride,
        padding,
        dilation,
    } = sizes.window;
    let options = ConvOptions::new(stride, padding, dilation, 1);
    let mut out = owned(Flex::conv2d(x, weight, None, options));
    if let Some(finish) = finish {
        let area = sizes.area();
        blocks(
            out.storage_mut::<f32>(),
            area,
            #[inline(always)]
            |plane, out| finish.run(plane % sizes.output, plane * area, out),
        );
    }
    out
}

#[derive(Debug)]
struct Convolve;

/// Where `x` and the weight are found again, if they are needed.
type State = (Option<NodeId>, Option<NodeId>, Sizes);

impl Backward<Flex, 2> for Convolve {
    type State = State;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<Flex>(&ops.node);
        let nodes = ops.parents.map(|node| node.map(|node| node.id));
        backward(nodes, ops.state, &grad, grads, checkpointer);
    }
}

/// Registers the gradients of `x` and of the weight that follow from the output's.
pub(super) fn backward(
    [to_x, to_weight]: [Option<NodeId>; 2],
    (x, weight, sizes): State,
    grad: &Array,
    grads: &mut Gradients,
    checkpointer: &mut Checkpointer,
) {
    let grad = dense(grad);
    if let (Some(node), Some(weight)) = (to_x, weight) {
        let weight = dense(&checkpointer.retrieve_node_output::<Array>(weight));
        let values = gradients::to_input(&sizes, values(&grad), values(&weight));
        grads.register::<Flex>(node, array(values, sizes.source()));
    }
    if let (Some(node), Some(x)) = (to_weight, x) {
        let x = dense(&checkpointer.retrieve_node_output::<Array>(x));
        let values = gradients::to_weight(&sizes, values(&grad), values(&x));
        grads.register::<Flex>(node, array(values, sizes.weight()));
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
            None,
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
