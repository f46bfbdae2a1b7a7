//! Kernels for GPUs, written once for wgpu and CUDA: shared memory and barriers alone, without subgroups and atomics, so that
//! sums have one order and every driver can run them.

#![allow(
    unsafe_code,
    reason = "kernels are launched without checks of bounds: each file says why its indices are inside"
)]

pub(crate) mod adamw;
pub(crate) mod assign;
pub(crate) mod attention;
pub(crate) mod boxes;
pub(crate) mod clip;
pub(crate) mod dropout;
pub(crate) mod ema;
mod hash;
pub(crate) mod layer_norm;
mod layout;
mod list;
pub(crate) mod log_prob;
pub(crate) mod matmul;
mod reduce;
pub(crate) mod segment_sum;
pub(crate) mod sgd;
pub(crate) mod sum_of_squares;
pub(crate) mod update;

pub(crate) use list::{Primitive, is_on_gpu, primitive, primitives, primitives_of};

/// Cubes along one axis of a launch on every device.
pub(crate) const MAX_CUBES: usize = 65_535;
