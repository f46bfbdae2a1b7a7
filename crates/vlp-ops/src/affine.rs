//! A frozen norm with what follows it in a residual network: scale, shift, shortcut, ReLU, in one pass.
//!
//! Needed as long as burn's CPU backend runs each of the four as a pass of its own on one thread.

use burn::prelude::*;

/// `x * scale + shift`, plus the shortcut, through ReLU where `relu`; `x` and the shortcut `[batch, channels, h, w]`,
/// `scale` and `shift` `[channels]`.
pub fn affine(
    x: Tensor<4>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    shortcut: Option<Tensor<4>>,
    relu: bool,
) -> Tensor<4> {
    #[cfg(feature = "flex")]
    {
        use crate::route::fast;
        let [_, channels, _, _] = x.dims();
        let same = shortcut
            .as_ref()
            .is_none_or(|s| s.dims() == x.dims() && fast(s));
        let fits = scale.dims() == [channels] && shift.dims() == [channels];
        if same && fits && fast(&x) && fast(&scale) && fast(&shift) {
            return fast::affine(x, scale, shift, shortcut, relu);
        }
    }
    // Both reshaped first: a GPU joins what stands together to one kernel.
    let [scale, shift] = [scale, shift].map(|line| line.reshape([1, -1, 1, 1]));
    let y = x * scale + shift;
    let y = match shortcut {
        Some(shortcut) => y + shortcut,
        None => y,
    };
    if relu {
        burn::tensor::activation::relu(y)
    } else {
        y
    }
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;

    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, values};
    use crate::maps::Maps;
    use crate::residual::{Line, Slope, pull, write};

    #[backend_extension(Flex, Autodiff)]
    trait AffineBackend: Backend {
        fn scale_shift(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            shift: FloatTensor<Self>,
            shortcut: FloatTensor<Self>,
            relu: bool,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn affine(
        x: Tensor<4>,
        scale: Tensor<1>,
        shift: Tensor<1>,
        shortcut: Option<Tensor<4>>,
        relu: bool,
    ) -> Tensor<4> {
        // The extension takes no optional tensors: an empty one stands for none.
        let shortcut = shortcut.unwrap_or_else(|| Tensor::empty([0; 4], &x.device()));
        let (x, shortcut) = (x.into_dispatch(), shortcut.into_dispatch());
        let (scale, shift) = (scale.into_dispatch(), shift.into_dispatch());
        Tensor::from_dispatch(<Dispatch as AffineBackend>::scale_shift(
            x, scale, shift, shortcut, relu,
        ))
    }

    impl AffineBackend for Flex {
        fn scale_shift(x: Array, scale: Array, shift: Array, shortcut: Array, relu: bool) -> Array {
            let [x, scale, shift, shortcut] = [x, scale, shift, shortcut].map(|t| dense(&t));
            let (source, scales, shifts) = (values(&x), values(&scale), values(&shift));
            let shortcut = Some(values(&shortcut)).filter(|s| !s.is_empty());
            let (out, _) = Maps::of(&x).made(
                #[inline(always)]
                |strip, out| {
                    let line = |channel: usize| Line {
                        mean: 0.0,
                        scale: scales[channel],
                        shift: shifts[channel],
                    };
                    let lines: Vec<Line> = strip.channels.clone().map(line).collect();
                    write(&strip, out, source, shortcut, relu, &lines);
                },
            );
            array(out, x.shape())
        }
    }

    #[derive(Debug)]
    struct ScaleShift;

    /// What the gradient needs.
    #[derive(Debug, Clone)]
    struct Kept {
        /// Only where the scale or the shift is trained.
        x: Option<Array>,
        scale: Array,
        /// Only behind ReLU.
        output: Option<Array>,
    }

    impl Backward<Flex, 4> for ScaleShift {
        type State = Kept;

        fn backward(self, ops: Ops<Kept, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<Flex>(&ops.node);
            let [to_x, to_scale, to_shift, to_shortcut] =
                ops.parents.map(|node| node.map(|node| node.id));
            let kept = ops.state;
            let (x, scale) = (kept.x.as_ref().map(dense), dense(&kept.scale));
            let scales = values(&scale);
            let slope = |channel: usize, _| Slope {
                factor: scales[channel],
                statistics: None,
            };
            let output = kept.output.as_ref();
            let split = to_shortcut.is_some();
            let pulled = pull(grad, output, x.as_ref(), split, |_| 0.0, slope);
            let total = |of: usize| {
                let values = pulled.sums.iter().map(|sums| sums[of] as f32).collect();
                array(values, [scales.len()])
            };
            if let Some(node) = to_scale {
                grads.register::<Flex>(node, total(1));
            }
            if let Some(node) = to_shift {
                grads.register::<Flex>(node, total(0));
            }
            if let Some(node) = to_x {
                grads.register::<Flex>(node, pulled.x);
            }
            if let (Some(node), Some(grad)) = (to_shortcut, pulled.shortcut) {
                grads.register::<Flex>(node, grad);
            }
        }
    }

    impl<C: CheckpointStrategy> AffineBackend for Autodiff<Flex, C> {
        fn scale_shift(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            shift: FloatTensor<Self>,
            shortcut: FloatTensor<Self>,
            relu: bool,
        ) -> FloatTensor<Self> {
            let nodes = [x.node(), scale.node(), shift.node(), shortcut.node()];
            let summed = scale.is_tracked() || shift.is_tracked();
            let [x, scale, shift, shortcut] =
                [&x, &scale, &shift, &shortcut].map(|t| t.primitive().clone());
            let output = Flex::scale_shift(x.clone(), scale.clone(), shift, shortcut, relu);
            let kept = Kept {
                x: summed.then_some(x),
                scale,
                output: relu.then(|| output.clone()),
            };
            match ScaleShift.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(kept, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
