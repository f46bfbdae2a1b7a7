//! Rounding errors of the fast convolution compared with those of burn's own, both in f32 against f64.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use burn::prelude::*;
use burn::tensor::{DType, TensorData};
use vlp_ops::{Conv2dGeometry, use_fast_paths};
use vlp_testing::{noise, to_cpu};

fn tensor(shape: [usize; 4], seed: u64, dtype: DType) -> Tensor<4> {
    // The same f32 values in both types.
    let values: Vec<f32> = noise(shape.iter().product(), seed)
        .iter()
        .map(|v| *v as f32)
        .collect();
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(values, shape), (&device, dtype)).require_grad()
}

/// Output and both gradients of one convolution, and the output without autodiff.
fn pass(x: [usize; 4], weight: [usize; 4], stride: usize, dtype: DType) -> [Vec<f64>; 4] {
    let (x, weight) = (tensor(x, 1, dtype), tensor(weight, 2, dtype));
    let padding = weight.dims()[2] / 2;
    let geometry = Conv2dGeometry {
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1; 2],
    };
    let y = vlp_ops::conv2d(x.clone(), weight.clone(), geometry);
    let inference = vlp_ops::conv2d(x.clone().inner(), weight.clone().inner(), geometry);
    let grad_output = tensor(y.dims(), 3, dtype).detach();
    let grads = (y.clone() * grad_output).sum().backward();
    [
        to_cpu(y),
        to_cpu(x.grad(&grads).unwrap()),
        to_cpu(weight.grad(&grads).unwrap()),
        to_cpu(inference),
    ]
}

fn rms_error(actual: &[f64], expected: &[f64]) -> f64 {
    let squares = actual.iter().zip(expected).map(|(a, b)| (a - b).powi(2));
    (squares.sum::<f64>() / expected.len() as f64).sqrt()
}

#[test]
fn rounding_is_not_much_worse_than_burns() {
    for (x, weight, stride) in [
        ([1, 64, 24, 24], [64, 64, 3, 3], 1),
        ([1, 256, 12, 12], [256, 256, 3, 3], 1),
        ([2, 512, 4, 4], [512, 512, 3, 3], 1),
        // Winograd, for the output and both gradients.
        ([1, 64, 50, 61], [64, 64, 3, 3], 1),
        ([1, 256, 24, 24], [256, 256, 3, 3], 1),
        ([4, 512, 12, 12], [512, 512, 3, 3], 1),
        ([1, 128, 24, 24], [128, 128, 3, 3], 2),
        ([1, 3, 96, 96], [64, 3, 7, 7], 2),
        ([2, 3, 150, 203], [64, 3, 7, 7], 2),
        ([1, 3, 256, 192], [64, 3, 7, 7], 2),
    ] {
        let exact = pass(x, weight, stride, DType::F64);
        let fast = pass(x, weight, stride, DType::F32);
        use_fast_paths(false);
        let burn = pass(x, weight, stride, DType::F32);
        use_fast_paths(true);
        let names = [
            "output",
            "input's gradient",
            "weight's gradient",
            "output without autodiff",
        ];
        for (i, what) in names.iter().enumerate() {
            let fast = rms_error(&fast[i], &exact[i]);
            let burn = rms_error(&burn[i], &exact[i]);
            println!("{x:?} {weight:?} {what}: fast {fast:.2e}, burn {burn:.2e}");
            // The same sums in another order; a bug would be off by orders of magnitude.
            assert!(
                fast <= 2.0 * burn,
                "{x:?} {weight:?}, {what}: {fast}, burn {burn}"
            );
        }
    }
}
