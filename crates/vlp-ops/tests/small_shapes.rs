//! Kernels on shapes so small that Miri, which interprets them, takes minutes: `cargo xtask torture unsafe`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::cases::{Conv, check_fused_affine, conv_case, geometry, linear_case, tied_case};
use common::{check_bf16_values, check_threads};

/// Sums of up to 60 terms; the inputs are such that products are exact.
const TOLERANCE: f64 = 1e-6;

fn convolutions() -> [Conv; 4] {
    let one = [1; 2];
    [
        ([2, 3, 5, 4, 3], [3, 3], geometry(one, one, one)),
        // A kernel that reaches beyond the input.
        ([1, 2, 2, 2, 1], [5, 5], geometry(one, [2, 2], one)),
        // Pointwise.
        ([2, 5, 17, 2, 3], [1, 1], geometry(one, [0, 0], one)),
        ([1, 3, 4, 3, 4], [1, 1], geometry([2, 2], [0, 0], one)),
    ]
}

const SIZES: [[usize; 3]; 2] = [[1, 1, 1], [17, 3, 5]];

#[test]
fn convolutions_agree_with_f64() {
    for case in convolutions() {
        conv_case(&case, &mut |case| {
            check_bf16_values(case, TOLERANCE);
            check_threads(case);
        });
    }
}

#[test]
fn fused_norm_has_the_bits_of_a_separate_one() {
    check_fused_affine(&convolutions()[0]);
    check_fused_affine(&convolutions()[3]);
}

#[test]
fn products_agree_with_f64() {
    for size in SIZES {
        for case in [linear_case, tied_case] {
            case(size, &mut |case| {
                check_bf16_values(case, TOLERANCE);
                check_threads(case);
            });
        }
    }
}
