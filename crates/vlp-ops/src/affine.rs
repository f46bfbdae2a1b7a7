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
    let y = x * scale.reshape([1, -1, 1, 1]) + shift.reshape([1, -1, 1, 1]);
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
    use burn::backend::autodiff::NodeId;
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use crate::flex::tape::*;
    use crate::flex::{Array, array, blocks, dense, sum2, values, wide};

    #[backend_extension(Flex, Autodiff)]
    trait AffineBackend: Backend {
        fn scale_shift(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            shift: FloatTensor<Self>,
            relu: bool,
        ) -> FloatTensor<Self>;

        fn scale_shift_add(
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
        let (x, scale) = (x.into_dispatch(), scale.into_dispatch());
        let shift = shift.into_dispatch();
        Tensor::from_dispatch(match shortcut {
            None => <Dispatch as AffineBackend>::scale_shift(x, scale, shift, relu),
            Some(shortcut) => {
                let shortcut = shortcut.into_dispatch();
                <Dispatch as AffineBackend>::scale_shift_add(x, scale, shift, shortcut, relu)
            }
        })
    }

    /// Channels and the area of a plane.
    fn sizes(x: &Array) -> (usize, usize) {
        let [_, channels, rows, columns] = x.shape().dims();
        (channels, rows * columns)
    }

    fn forward(x: Array, scale: Array, shift: Array, shortcut: Option<Array>, relu: bool) -> Array {
        let (channels, area) = sizes(&x);
        let (x, scale, shift) = (dense(&x), dense(&scale), dense(&shift));
        let shortcut = shortcut.map(|s| dense(&s));
        let (source, scales, shifts) = (values(&x), values(&scale), values(&shift));
        let mut out = vec![0.0; source.len()];
        let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
        // NaN stays NaN, as in burn's.
        let raise = |y: f32| if y < floor { floor } else { y };
        blocks(&mut out, area, |plane, out| {
            let (scale, shift) = (scales[plane % channels], shifts[plane % channels]);
            let x = &source[plane * area..(plane + 1) * area];
            match &shortcut {
                None => {
                    for (out, x) in out.iter_mut().zip(x) {
                        *out = raise(*x * scale + shift);
                    }
                }
                Some(shortcut) => {
                    let shortcut = &values(shortcut)[plane * area..(plane + 1) * area];
                    for ((out, x), other) in out.iter_mut().zip(x).zip(shortcut) {
                        *out = raise(*x * scale + shift + *other);
                    }
                }
            }
        });
        array(out, x.shape())
    }

    impl AffineBackend for Flex {
        fn scale_shift(x: Array, scale: Array, shift: Array, relu: bool) -> Array {
            forward(x, scale, shift, None, relu)
        }

        fn scale_shift_add(
            x: Array,
            scale: Array,
            shift: Array,
            shortcut: Array,
            relu: bool,
        ) -> Array {
            forward(x, scale, shift, Some(shortcut), relu)
        }
    }

    #[derive(Debug)]
    struct ScaleShift;

    /// What the gradient needs.
    #[derive(Debug, Clone)]
    struct Kept {
        /// Only where the scale is trained.
        x: Option<Array>,
        scale: Array,
        /// Only behind ReLU.
        output: Option<Array>,
    }

    impl Kept {
        fn backward(self, parents: [Option<NodeId>; 4], grad: Array, grads: &mut Gradients) {
            let grad = match &self.output {
                None => dense(&grad),
                Some(output) => passed(&dense(&grad), output),
            };
            let (channels, area) = sizes(&grad);
            let slope = values(&grad);
            let [to_x, to_scale, to_shift, to_shortcut] = parents;
            if let Some(node) = to_x {
                let scale = dense(&self.scale);
                let scales = values(&scale);
                let mut out = vec![0.0; slope.len()];
                blocks(&mut out, area, |plane, out| {
                    let scale = scales[plane % channels];
                    for (out, g) in out.iter_mut().zip(&slope[plane * area..]) {
                        *out = *g * scale;
                    }
                });
                grads.register::<Flex>(node, array(out, grad.shape()));
            }
            if let (Some(node), Some(x)) = (to_scale, &self.x) {
                let x = dense(x);
                let source = values(&x);
                let total = per_channel([channels, area], slope, source, |g, x| g * x);
                grads.register::<Flex>(node, array(total, [channels]));
            }
            if let Some(node) = to_shift {
                let total = per_channel([channels, area], slope, slope, |g, _| g);
                grads.register::<Flex>(node, array(total, [channels]));
            }
            if let Some(node) = to_shortcut {
                grads.register::<Flex>(node, grad);
            }
        }
    }

    /// The gradient where ReLU let something pass.
    fn passed(grad: &Array, output: &Array) -> Array {
        let (_, area) = sizes(grad);
        let (slope, result) = (values(grad), values(output));
        let mut out = vec![0.0; slope.len()];
        blocks(&mut out, area, |plane, out| {
            let at = plane * area;
            for ((out, g), y) in out.iter_mut().zip(&slope[at..]).zip(&result[at..]) {
                *out = if *y > 0.0 { *g } else { 0.0 };
            }
        });
        array(out, grad.shape())
    }

    /// Sums of `f` of two `[batch, channels, area]` over batch and area.
    fn per_channel(
        [channels, area]: [usize; 2],
        a: &[f32],
        b: &[f32],
        f: impl Fn(f32, f32) -> f32 + Sync,
    ) -> Vec<f32> {
        let total = |channel: usize| {
            wide(|| {
                let starts = (channel * area..a.len()).step_by(channels * area);
                starts
                    .map(|at| sum2(&a[at..at + area], &b[at..at + area], &f))
                    .sum::<f32>()
            })
        };
        (0..channels).into_par_iter().map(total).collect()
    }

    impl Backward<Flex, 3> for ScaleShift {
        type State = Kept;

        fn backward(self, ops: Ops<Kept, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<Flex>(&ops.node);
            let [x, scale, shift] = ops.parents.map(|node| node.map(|node| node.id));
            ops.state.backward([x, scale, shift, None], grad, grads);
        }
    }

    impl Backward<Flex, 4> for ScaleShift {
        type State = Kept;

        fn backward(self, ops: Ops<Kept, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<Flex>(&ops.node);
            let parents = ops.parents.map(|node| node.map(|node| node.id));
            ops.state.backward(parents, grad, grads);
        }
    }

    impl<C: CheckpointStrategy> AffineBackend for Autodiff<Flex, C> {
        fn scale_shift(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            shift: FloatTensor<Self>,
            relu: bool,
        ) -> FloatTensor<Self> {
            let [source, factor, offset] = [&x, &scale, &shift].map(|t| t.primitive().clone());
            let output = forward(source.clone(), factor.clone(), offset, None, relu);
            let kept = Kept {
                x: scale.is_tracked().then_some(source),
                scale: factor,
                output: relu.then(|| output.clone()),
            };
            let nodes = [x.node(), scale.node(), shift.node()];
            match ScaleShift.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(kept, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }

        fn scale_shift_add(
            x: FloatTensor<Self>,
            scale: FloatTensor<Self>,
            shift: FloatTensor<Self>,
            shortcut: FloatTensor<Self>,
            relu: bool,
        ) -> FloatTensor<Self> {
            let [source, factor, offset] = [&x, &scale, &shift].map(|t| t.primitive().clone());
            let other = Some(shortcut.primitive().clone());
            let output = forward(source.clone(), factor.clone(), offset, other, relu);
            let kept = Kept {
                x: scale.is_tracked().then_some(source),
                scale: factor,
                output: relu.then(|| output.clone()),
            };
            let nodes = [x.node(), scale.node(), shift.node(), shortcut.node()];
            match ScaleShift.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(kept, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
