//! A frozen norm with what follows it in a residual network: scale, shift, shortcut, ReLU, in one pass.
//!
//! Needed as long as burn's CPU backend runs each of the four as a pass of its own on one thread.

use burn::prelude::*;

/// What a frozen norm and its place in a residual block do to a map `x` `[batch, channels, h, w]`:
/// `x * scale + shift`, plus the shortcut, through ReLU.
#[derive(Debug, Clone)]
pub struct Affine {
    /// `[channels]`.
    pub scale: Tensor<1>,
    /// `[channels]`.
    pub shift: Tensor<1>,
    /// Added, where there is one; of the map's shape.
    pub shortcut: Option<Tensor<4>>,
    /// Whether values below 0 become 0.
    pub relu: bool,
}

#[cfg(feature = "flex")]
impl Affine {
    /// Whether the fast path holds for a map of this shape.
    pub(crate) fn fits(&self, shape: [usize; 4]) -> bool {
        use crate::route::fast;
        let line = |line: &Tensor<1>| line.dims() == [shape[1]] && fast(line);
        let shortcut = self.shortcut.as_ref();
        line(&self.scale)
            && line(&self.shift)
            && shortcut.is_none_or(|s| s.dims() == shape && fast(s))
    }
}

/// Scale, shift, shortcut, ReLU of `x`, as [`Affine`] says.
pub fn affine(x: Tensor<4>, affine: Affine) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if crate::route::fast(&x) && affine.fits(x.dims()) {
        return fast::affine(x, affine);
    }
    let Affine {
        scale,
        shift,
        shortcut,
        relu,
    } = affine;
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
pub(crate) mod fast {
    use burn::prelude::Tensor;

    use super::Affine;
    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, values};
    use crate::maps::Maps;
    use crate::residual::{Line, Slope, pull, write};

    #[backend_extension(Flex, Autodiff)]
    pub(crate) trait AffineBackend: Backend {
        fn scale_shift(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            shift: FloatTensor<Self>,
            shortcut: FloatTensor<Self>,
            relu: bool,
        ) -> FloatTensor<Self>;
    }

    pub(super) fn affine(x: Tensor<4>, affine: Affine) -> Tensor<4> {
        let (relu, [scale, shift, shortcut]) = affine.into_dispatch();
        let x = x.into_dispatch();
        Tensor::from_dispatch(<Dispatch as AffineBackend>::scale_shift(
            x, scale, shift, shortcut, relu,
        ))
    }

    impl Affine {
        /// ReLU or not; scale, shift and shortcut.
        pub(crate) fn into_dispatch(self) -> (bool, [FloatTensor<Dispatch>; 3]) {
            // An extension takes no optional tensors: an empty one stands for none.
            let device = self.scale.device();
            let none = || Tensor::empty([0; 4], &device);
            let shortcut = self.shortcut.unwrap_or_else(none).into_dispatch();
            let (scale, shift) = (self.scale.into_dispatch(), self.shift.into_dispatch());
            (self.relu, [scale, shift, shortcut])
        }
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
