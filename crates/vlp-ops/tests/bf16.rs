//! Products in bf16: of values that bf16 holds whole they are those of f32, all others are rounded first.
//!
//! A program of its own, since they are switched on for a whole process. Where the processor has no instructions for them
//! the tests say so and end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::cases::{SIZES, conv_case, convolutions, finished_alike, linear_case, tied_case};
use common::{Case, agree_on_coarse, threads_do_not_matter};
use vlp_ops::{MatmulPrecision, set_matmul_precision};

/// As of products in f32: sums of up to 4,000 products of up to 4, in f32.
const TOLERANCE: f64 = 2e-6;

fn on() -> bool {
    let can = set_matmul_precision(MatmulPrecision::Bf16);
    if !can {
        eprintln!("not run: this processor has no AVX-512 BF16");
    }
    can
}

/// Every remainder of tiles of 14 x 32, of chunks of 32 and of blocks of 384, with the larger operand on either side.
const MORE: [[usize; 3]; 7] = [
    [8, 1, 8],
    [14, 31, 32],
    [15, 32, 33],
    [29, 33, 47],
    [43, 385, 16],
    [650, 70, 17],
    [90, 800, 700],
];

#[test]
fn linear() {
    for size in SIZES.into_iter().chain(MORE) {
        linear_case(size, &mut |case| {
            if on() {
                agree_on_coarse(case, TOLERANCE);
                threads_do_not_matter(case);
            }
        });
    }
}

#[test]
fn tied() {
    for size in SIZES.into_iter().chain(MORE) {
        tied_case(size, &mut |case| {
            if on() {
                agree_on_coarse(case, TOLERANCE);
                threads_do_not_matter(case);
            }
        });
    }
}

#[test]
fn convolution() {
    for case in convolutions() {
        conv_case(&case, &mut |case| {
            if on() {
                agree_on_coarse(case, TOLERANCE);
                threads_do_not_matter(case);
            }
        });
    }
}

#[test]
fn convolution_and_norm_as_one() {
    if on() {
        convolutions().iter().for_each(finished_alike);
    }
}

/// Halves go to the even neighbor, as everywhere in IEEE 754.
#[test]
fn operands_are_rounded_to_eight_bits() {
    if !on() {
        return;
    }
    let device = Device::flex();
    let last = 1.0 / 128.0;
    let x = [1.0 + 0.5 * last, 1.0 + 1.5 * last, 1.0 + 0.51 * last, 3.0];
    let x = Tensor::<1>::from_floats(x, &device).reshape([4, 1]);
    let y = vlp_ops::linear(x.repeat_dim(0, 4), Tensor::<2>::ones([1, 8], &device), None);
    let got: Vec<f32> = y.into_data().iter().collect();
    for row in got.chunks_exact(32) {
        let firsts: Vec<f32> = row.iter().copied().step_by(8).collect();
        assert_eq!(firsts, [1.0, 1.0 + 2.0 * last, 1.0 + last, 3.0]);
    }
}

/// Scores, and shares of which the eight bits are not whole: within their rounding.
#[test]
fn attention() {
    if !on() {
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
        sizes: vec![
            batch * queries * width,
            batch * keys * width,
            batch * keys * width,
        ],
        f: &run,
    };
    // Half of the last of eight bits in each of two operands.
    agree_on_coarse(&case, 1.0 / 256.0);
    threads_do_not_matter(&case);
}
