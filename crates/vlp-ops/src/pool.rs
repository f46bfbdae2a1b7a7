//! Maximum pooling, rows first; the gradient finds the greatest values again instead of keeping their places.
//!
//! Needed as long as burn's CPU backend visits every window value by value.

use burn::prelude::*;
use burn::tensor::ops::MaxPoolOptions;

use crate::Window;

/// The greatest value of every `kernel` `[rows, columns]`: `x` `[batch, channels, h, w]` to
/// `[batch, channels, positions of the window]`. Of equal values the first one gets the gradient.
pub fn max_pool2d(x: Tensor<4>, kernel: [usize; 2], window: Window) -> Tensor<4> {
    #[cfg(feature = "flex")]
    {
        let [_, _, rows, columns] = x.dims();
        let fits = window.positions([rows, columns], kernel);
        // With less padding than taps every window holds a value.
        let full = [0, 1]
            .iter()
            .all(|&i| fits[i] > 0 && window.padding[i] <= (kernel[i] - 1) * window.dilation[i] / 2);
        if full && window.dilation == [1, 1] && crate::route::fast(&x) {
            return fast::max_pool2d(x, kernel, window);
        }
    }
    let Window {
        stride,
        padding,
        dilation,
    } = window;
    let options = MaxPoolOptions::new(kernel)
        .with_stride(stride)
        .with_padding(padding)
        .with_dilation(dilation);
    burn::tensor::module::max_pool2d(x, options)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;

    use crate::Window;
    use crate::flex::tape::*;
    use crate::flex::{Array, array, dense, made, values};

    /// Sizes of one pooling.
    #[derive(Debug, Clone, Copy)]
    struct Sizes {
        map: [usize; 2],
        kernel: [usize; 2],
        positions: [usize; 2],
        window: Window,
    }

    #[backend_extension(Flex, Autodiff)]
    trait PoolBackend: Backend {
        fn greatest(x: FloatTensor<Self>, kernel: [usize; 2], window: Window) -> FloatTensor<Self>;
    }

    pub(super) fn max_pool2d(x: Tensor<4>, kernel: [usize; 2], window: Window) -> Tensor<4> {
        let x = x.into_dispatch();
        Tensor::from_dispatch(<Dispatch as PoolBackend>::greatest(x, kernel, window))
    }

    /// NaN wins over everything.
    #[inline(always)]
    fn replaces(new: f32, old: f32) -> bool {
        (new > old) | new.is_nan()
    }

    impl Sizes {
        fn new(x: &Array, kernel: [usize; 2], window: Window) -> Self {
            let [_, _, rows, columns] = x.shape().dims();
            Self {
                map: [rows, columns],
                kernel,
                positions: window.positions([rows, columns], kernel),
                window,
            }
        }

        /// The map's rows or columns under a position.
        #[inline(always)]
        fn under(&self, axis: usize, position: usize) -> std::ops::Range<usize> {
            let start = position * self.window.stride[axis];
            let (padding, size) = (self.window.padding[axis], self.map[axis]);
            start.saturating_sub(padding)..(start + self.kernel[axis] - padding).min(size)
        }

        #[inline(always)]
        fn plane(&self, x: &[f32], buffer: &mut [f32], out: &mut [f32]) {
            let width = self.map[1];
            let padding = self.window.padding[1];
            for (row, out) in out.chunks_exact_mut(self.positions[1]).enumerate() {
                // Greatest of each column, padded at both ends.
                let middle = &mut buffer[padding..padding + width];
                middle.fill(f32::NEG_INFINITY);
                for i in self.under(0, row) {
                    for (best, x) in middle.iter_mut().zip(&x[i * width..(i + 1) * width]) {
                        *best = if replaces(*x, *best) { *x } else { *best };
                    }
                }
                let stride = self.window.stride[1];
                out.fill(f32::NEG_INFINITY);
                for tap in 0..self.kernel[1] {
                    for (best, x) in out.iter_mut().zip(buffer[tap..].iter().step_by(stride)) {
                        *best = if replaces(*x, *best) { *x } else { *best };
                    }
                }
            }
        }

        #[inline(always)]
        fn plane_backward(&self, x: &[f32], grad: &[f32], out: &mut [f32]) {
            let [rows, columns] = self.positions;
            for row in 0..rows {
                for column in 0..columns {
                    let (mut best, mut place) = (f32::NEG_INFINITY, None);
                    for i in self.under(0, row) {
                        for j in self.under(1, column) {
                            let at = i * self.map[1] + j;
                            if place.is_none() || replaces(x[at], best) {
                                (best, place) = (x[at], Some(at));
                            }
                        }
                    }
                    if let Some(at) = place {
                        out[at] += grad[row * columns + column];
                    }
                }
            }
        }
    }

    impl PoolBackend for Flex {
        fn greatest(x: Array, kernel: [usize; 2], window: Window) -> Array {
            let sizes = Sizes::new(&x, kernel, window);
            let [images, channels, rows, columns] = x.shape().dims();
            let [height, width] = sizes.positions;
            let x = dense(&x);
            let source = values(&x);
            let out = made(
                images * channels * height * width,
                height * width,
                #[inline(always)]
                |plane, out| {
                    let from = plane * rows * columns;
                    let ends = 2 * window.padding[1];
                    let mut buffer = vec![f32::NEG_INFINITY; columns + ends];
                    sizes.plane(&source[from..from + rows * columns], &mut buffer, out);
                },
            );
            array(out, [images, channels, height, width])
        }
    }

    #[derive(Debug)]
    struct Greatest;

    impl Backward<Flex, 1> for Greatest {
        type State = (Array, Sizes);

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = dense(&grads.consume::<Flex>(&ops.node));
            let [Some(node)] = ops.parents else { return };
            let (x, sizes) = ops.state;
            let x = dense(&x);
            let (source, slope) = (values(&x), values(&grad));
            let from = sizes.map[0] * sizes.map[1];
            let to = sizes.positions[0] * sizes.positions[1];
            let out = made(
                source.len(),
                from,
                #[inline(always)]
                |plane, out| {
                    let source = &source[plane * from..(plane + 1) * from];
                    sizes.plane_backward(source, &slope[plane * to..(plane + 1) * to], out);
                },
            );
            grads.register::<Flex>(node.id, array(out, x.shape()));
        }
    }

    impl<C: CheckpointStrategy> PoolBackend for Autodiff<Flex, C> {
        fn greatest(x: FloatTensor<Self>, kernel: [usize; 2], window: Window) -> FloatTensor<Self> {
            let source = x.primitive().clone();
            let sizes = Sizes::new(&source, kernel, window);
            let output = Flex::greatest(source.clone(), kernel, window);
            match Greatest.prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((source, sizes), output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }
    }
}
