//! A convolution and the frozen norm behind it as one operation: the norm has no pass of its own over the output.

use burn::backend::autodiff::NodeId;
use burn::prelude::Tensor;

use super::fast::{ConvBackend, backward, output};
use super::sizes::Sizes;
use crate::Window;
use crate::affine::Affine;
use crate::affine::fast::AffineBackend;
use crate::finish::Finish;
use crate::flex::tape::*;
use crate::flex::{Array, dense, values};
use crate::residual::{Slope, pull};

#[backend_extension(Flex, Autodiff)]
trait FinishedBackend: Backend {
    fn convolve_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self>;
}

pub(super) fn conv2d_affine(
    x: Tensor<4>,
    weight: Tensor<4>,
    window: Window,
    affine: Affine,
) -> Tensor<4> {
    let (relu, [scale, shift, shortcut]) = affine.into_dispatch();
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as FinishedBackend>::convolve_affine(
        x, weight, window, scale, shift, shortcut, relu,
    ))
}

/// The values, with or without gradients to follow.
fn finished(
    [x, weight, scale, shift, shortcut]: [Array; 5],
    window: Window,
    relu: bool,
    gradients: bool,
) -> Array {
    let [scale, shift, shortcut] = [scale, shift, shortcut].map(|t| dense(&t));
    let finish = Finish {
        scale: values(&scale),
        shift: values(&shift),
        shortcut: Some(values(&shortcut)).filter(|s| !s.is_empty()),
        relu,
    };
    output(x, weight, window, gradients, Some(&finish))
}

impl FinishedBackend for Flex {
    fn convolve_affine(
        x: Array,
        weight: Array,
        window: Window,
        scale: Array,
        shift: Array,
        shortcut: Array,
        relu: bool,
    ) -> Array {
        finished([x, weight, scale, shift, shortcut], window, relu, false)
    }
}

#[derive(Debug)]
struct Finished;

/// What the gradient needs.
#[derive(Debug, Clone)]
struct Kept {
    /// Where `x` and the weight are found again, if they are needed.
    x: Option<NodeId>,
    weight: Option<NodeId>,
    sizes: Sizes,
    scale: Array,
    /// Only behind ReLU.
    output: Option<Array>,
}

impl Backward<Flex, 3> for Finished {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node);
        let [to_x, to_weight, to_shortcut] = ops.parents.map(|node| node.map(|node| node.id));
        let kept = ops.state;
        let scale = dense(&kept.scale);
        let scale = values(&scale);
        let slope = |channel: usize, _| Slope {
            factor: scale[channel],
            statistics: None,
        };
        let output = kept.output.as_ref();
        let pulled = pull(grad, output, None, to_shortcut.is_some(), |_| 0.0, slope);
        if let (Some(node), Some(grad)) = (to_shortcut, pulled.shortcut) {
            grads.register::<Flex>(node, grad);
        }
        let state = (kept.x, kept.weight, kept.sizes);
        backward([to_x, to_weight], state, &pulled.x, grads, checkpointer);
    }
}

impl<C: CheckpointStrategy> FinishedBackend for Autodiff<Flex, C> {
    fn convolve_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        relu: bool,
    ) -> FloatTensor<Self> {
        if scale.is_tracked() || shift.is_tracked() {
            // Their gradients need the convolution's output by itself.
            let y = Self::convolve(x, weight, window);
            return Self::scale_shift(y, scale, shift, shortcut, relu);
        }
        let nodes = [x.node(), weight.node(), shortcut.node()];
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let arrays = [&x, &weight, &scale, &shift, &shortcut].map(|t| t.primitive().clone());
        let sizes = Sizes::new(arrays[0].shape().dims(), arrays[1].shape().dims(), window);
        let scale = arrays[2].clone();
        let output = finished(arrays, window, relu, true);
        match Finished.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let kept = Kept {
                    x: weight_tracked.then(|| prep.checkpoint(&x)),
                    weight: x_tracked.then(|| prep.checkpoint(&weight)),
                    sizes,
                    scale,
                    output: relu.then(|| output.clone()),
                };
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
