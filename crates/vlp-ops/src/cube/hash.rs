//! Random bits as a function of a seed and an index: those of the CPU.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// The hash of dropout masks and stochastic rounding.
#[cube]
pub(super) fn hash(seed0: u32, seed1: u32, index: u32) -> u32 {
    mix(mix(index + seed0) + seed1)
}

#[cube]
fn mix(bits: u32) -> u32 {
    let a = (bits ^ (bits >> 16)) * 0x21f0_aaadu32;
    let b = (a ^ (a >> 15)) * 0xd35a_2d97u32;
    b ^ (b >> 15)
}
