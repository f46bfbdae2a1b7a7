//! [`max_pool2d`](crate::max_pool2d) on the CPU.

use super::prelude::*;
use crate::Conv2dGeometry;
use crate::cpu::max_pool::PoolShape;

#[backend_extension(Flex, Autodiff)]
trait MaxPoolBackend: Backend {
    fn window_max(
        x: FloatTensor<Self>,
        kernel: [usize; 2],
        geometry: Conv2dGeometry,
    ) -> FloatTensor<Self>;
}

pub(crate) fn max_pool2d(x: Tensor<4>, kernel: [usize; 2], geometry: Conv2dGeometry) -> Tensor<4> {
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as MaxPoolBackend>::window_max(
        x, kernel, geometry,
    ))
}

fn pool_shape(x: &Array, kernel: [usize; 2], geometry: Conv2dGeometry) -> PoolShape {
    let [_, _, rows, columns] = x.shape().dims();
    PoolShape::new([rows, columns], kernel, geometry)
}

impl MaxPoolBackend for Flex {
    fn window_max(x: Array, kernel: [usize; 2], geometry: Conv2dGeometry) -> Array {
        let shape = pool_shape(&x, kernel, geometry);
        let [images, channels, ..]: [usize; 4] = x.shape().dims();
        let x = contiguous(&x);
        let output = shape.forward(as_slice(&x), images * channels);
        let [rows, columns] = shape.output();
        from_vec(output, [images, channels, rows, columns])
    }
}

impl<C: CheckpointStrategy> MaxPoolBackend for Autodiff<Flex, C> {
    fn window_max(
        x: FloatTensor<Self>,
        kernel: [usize; 2],
        geometry: Conv2dGeometry,
    ) -> FloatTensor<Self> {
        let input = x.primitive().clone();
        let shape = pool_shape(&input, kernel, geometry);
        let output = Flex::window_max(input.clone(), kernel, geometry);
        record::<C, _, _>([x.node()], output, |_, _| (input, shape), backward)
    }
}

fn backward((x, shape): (Array, PoolShape), grad: Array, parents: &mut Parents<'_, 1>) {
    let (x, grad) = (contiguous(&x), contiguous(&grad));
    let grad = shape.backward(as_slice(&x), as_slice(&grad));
    parents.add_grad(0, from_vec(grad, x.shape()));
}
