//! Counted operations equal those that follow from the shapes. A test binary of its own: the process has one counter.

use burn::prelude::*;
use vlp_ops::{Conv2dGeometry, attention, conv2d, count_flops, flops, linear};

fn ones<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::ones(shape, device)
}

#[test]
fn counted_flops_follow_from_the_shapes() {
    let device = Device::flex().autodiff();
    let count = |f: &dyn Fn()| {
        count_flops(true);
        f();
        flops()
    };
    let (rows, input, output) = (70, 33, 129);
    let weight = ones([input, output], &device).require_grad();
    let x = ones([rows, input], &device).require_grad();
    let forward = 2 * (rows * input * output) as u64;
    let run = || linear(x.clone(), weight.clone(), None);
    assert_eq!(count(&|| drop(run())), forward);
    assert_eq!(count(&|| drop(run().sum().backward())), 3 * forward);

    let (batch, queries, keys, width) = (2, 40, 50, 32);
    let query = ones([batch, queries, width], &device);
    let key = ones([batch, keys, width], &device);
    let run = || attention(query.clone(), key.clone(), key.clone(), None, None, 4);
    let forward = 2 * 2 * (batch * queries * keys * width) as u64;
    assert_eq!(count(&|| drop(run())), forward);

    // Small and large inputs: im2col, and algorithms that take fewer operations than the sum over all taps.
    for (side, input, kernel, padding) in [
        (8, 16, 3, 1),
        (96, 16, 3, 1),
        (97, 40, 3, 1),
        (16, 16, 1, 0),
    ] {
        let geometry = Conv2dGeometry {
            stride: [1; 2],
            padding: [padding; 2],
            dilation: [1; 2],
        };
        let x = ones([2, input, side, side], &device);
        let weight = ones([33, input, kernel, kernel], &device);
        let terms = 2 * side * side * input * kernel * kernel * 33;
        let flops = count(&|| drop(conv2d(x.clone(), weight.clone(), geometry)));
        assert_eq!(flops, 2 * terms as u64, "side {side}, kernel {kernel}");
    }

    count_flops(false);
    drop(linear(x, weight, None));
    assert_eq!(flops(), 0);
}
