//! Matrix multiplication in bf16: exact for inputs that bf16 represents exactly, others are rounded first.
//!
//! A test binary of its own, since the precision is set for the whole process. Without the instructions the tests are
//! skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::cases::{SIZES, check_fused_affine, conv_case, convolutions, linear_case, tied_case};
use common::{Case, check_bf16_values, check_threads, skip};
use vlp_ops::{MatmulPrecision, set_matmul_precision};

/// As in f32: sums of up to 4,000 terms of up to 4.
const TOLERANCE: f64 = 2e-6;

/// Switches to bf16, or skips the test.
fn enable_bf16() -> bool {
    let supported = set_matmul_precision(MatmulPrecision::Bf16, &Device::flex());
    if !supported {
        skip("no AVX-512 BF16 in use");
    }
    supported
}

/// Remainders of panels of 14 and 32, of chunks of 32 and of blocks of 384, with the larger operand on either side.
const BF16_SIZES: [[usize; 3]; 7] = [
    [8, 1, 8],
    [14, 31, 32],
    [15, 32, 33],
    [29, 33, 47],
    [43, 385, 16],
    [650, 70, 17],
    [90, 800, 700],
];

#[test]
fn linear_agrees_with_f64() {
    if !enable_bf16() {
        return;
    }
    for size in SIZES.into_iter().chain(BF16_SIZES) {
        linear_case(size, &mut |case| {
            check_bf16_values(case, TOLERANCE);
            check_threads(case);
        });
    }
}

#[test]
fn tied_logits_agree_with_f64() {
    if !enable_bf16() {
        return;
    }
    for size in SIZES.into_iter().chain(BF16_SIZES) {
        tied_case(size, &mut |case| {
            check_bf16_values(case, TOLERANCE);
            check_threads(case);
        });
    }
}

#[test]
fn convolution_agrees_with_f64() {
    if !enable_bf16() {
        return;
    }
    for case in convolutions() {
        conv_case(&case, &mut |case| {
            check_bf16_values(case, TOLERANCE);
            check_threads(case);
        });
    }
}

#[test]
fn fused_norm_has_the_bits_of_a_separate_one() {
    if enable_bf16() {
        convolutions().iter().for_each(check_fused_affine);
    }
}

/// Ties go to the even neighbor, as in IEEE 754.
#[test]
fn operands_are_rounded_to_eight_bits() {
    if !enable_bf16() {
        return;
    }
    let device = Device::flex();
    let ulp = 1.0 / 128.0;
    let x = [1.0 + 0.5 * ulp, 1.0 + 1.5 * ulp, 1.0 + 0.51 * ulp, 3.0];
    let x = Tensor::<1>::from_floats(x, &device).reshape([4, 1]);
    let y = vlp_ops::linear(x.repeat_dim(0, 4), Tensor::<2>::ones([1, 8], &device), None);
    let values: Vec<f32> = y.into_data().iter().collect();
    for row in values.chunks_exact(32) {
        let row: Vec<f32> = row.iter().copied().step_by(8).collect();
        assert_eq!(row, [1.0, 1.0 + 2.0 * ulp, 1.0 + ulp, 3.0]);
    }
}

/// Scores, and attention weights, which bf16 does not represent exactly: within the rounding of bf16.
#[test]
fn attention_is_within_the_rounding_of_bf16() {
    if !enable_bf16() {
        return;
    }
    let [batch, heads, queries, keys, width] = [2, 2, 150, 65, 64];
    let run = |t: &[Tensor<1>]| {
        let query = t[0].clone().reshape([batch, queries, width]);
        let key = t[1].clone().reshape([batch, keys, width]);
        let value = t[2].clone().reshape([batch, keys, width]);
        vlp_ops::attention(query, key, value, None, None, heads).flatten::<1>(0, 2)
    };
    let case = Case {
        name: "attention".into(),
        lengths: vec![
            batch * queries * width,
            batch * keys * width,
            batch * keys * width,
        ],
        f: &run,
    };
    // Half a unit in the last of eight bits, in each of two operands.
    check_bf16_values(&case, 1.0 / 256.0);
    check_threads(&case);
}
