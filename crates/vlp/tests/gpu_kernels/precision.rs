//! Products of matrices in a precision that burn would not choose.

use burn::prelude::*;
use burn::tensor::DType;
use vlp_ops::{linear, matmul, tied_logits, use_f32_gpu_matmuls};
use vlp_train::Precision;

use super::layers::both;
use super::{assert_close, gpu};

/// Rows, depth and columns: a single value, vectors, remainders of every tile, and more than one tile along each axis.
const SIZES: [[usize; 3]; 6] = [
    [1, 1, 1],
    [1, 300, 65],
    [70, 33, 1],
    [33, 17, 65],
    [128, 64, 128],
    [200, 520, 90],
];

/// Asserts that values and gradients of all products agree to this tolerance for sums of 1 value.
fn assert_products(tolerance: f32) {
    for [rows, depth, columns] in SIZES {
        let size = format!("{rows} x {depth} x {columns}");
        let check = |name: &str, [cpu, gpu]: [Vec<Vec<f32>>; 2]| {
            for (cpu, gpu) in cpu.iter().zip(&gpu) {
                // Values are about 1, and the longest sum is over the longest axis; its error grows with its square root.
                let longest = rows.max(depth).max(columns) as f32;
                let tolerance = tolerance * longest.sqrt();
                assert_close(cpu, gpu, tolerance, &format!("{name} of {size}"));
            }
        };
        let shapes = [[rows, depth], [depth, columns], [1, columns]];
        check(
            "linear",
            both(&shapes, |x| {
                let bias = x[2].clone().reshape([columns]);
                linear(x[0].clone(), x[1].clone(), Some(bias))
            }),
        );
        check(
            "tied_logits",
            both(&[[rows, depth], [columns, depth]], |x| {
                tied_logits(x[0].clone(), x[1].clone(), None)
            }),
        );
        check(
            "transposed batches",
            both(&[[2 * depth, rows], [2 * depth, columns]], |x| {
                let batches = |x: &Tensor<2>, width| x.clone().reshape([2, depth, width]);
                let product = matmul(batches(&x[0], rows).transpose(), batches(&x[1], columns));
                product.reshape([2 * rows, columns])
            }),
        );
    }
}

#[test]
fn f32_products_agree_with_the_cpu() {
    use_f32_gpu_matmuls(true);
    // Both sides add in f32, in another order.
    assert_products(2e-6);
    use_f32_gpu_matmuls(false);
}

#[test]
fn bf16_products_round_their_operands_or_are_refused() {
    let device = gpu();
    if !device.supports_dtype(DType::BF16) {
        let error = Precision::Bf16.set(&device).unwrap_err().to_string();
        let expected = "train.precision = bf16: this GPU does not support bf16; use tf32 or f32";
        assert_eq!(error, expected);
        println!("SKIPPED: products in bf16, this GPU has none");
        return;
    }
    Precision::Bf16.set(&device).unwrap();
    // Each operand is rounded by up to 1/512.
    assert_products(8e-3);
    Precision::F32.set(&device).unwrap();
}
