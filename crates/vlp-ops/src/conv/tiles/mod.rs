//! Convolution in bf16 where the processor has tiles (AMX), without columns: the map is laid out once so that every tap reads it at
//! one distance from a position ([`Layout`](super::padded::Layout)), and tiles read it there, sixteen neighbours a row.

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(target_arch = "x86_64")]
mod forward;
#[cfg(target_arch = "x86_64")]
mod weight;

use super::kernels::Weight;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use absent::{convolve, pays, to_weight};
#[cfg(target_arch = "x86_64")]
pub(super) use forward::convolve;
#[cfg(target_arch = "x86_64")]
pub(super) use weight::to_weight;

/// Whether products are made in bf16, by tiles, and channels fill some of their rows.
#[cfg(target_arch = "x86_64")]
pub(super) fn pays(sizes: &super::sizes::Sizes) -> bool {
    use crate::bf16::Unit;
    use crate::route::in_bf16;

    /// Half of a tile.
    const LEAST: usize = 16;
    in_bf16() && Unit::here() == Unit::Tiles && sizes.input.min(sizes.output) >= LEAST
}

/// The nearest value of bf16, in its upper half of 32 bits; of two as near the even one. NaN stays NaN.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn rounded(value: f32) -> u32 {
    const QUIET: u32 = 1 << 22;
    let bits = value.to_bits();
    let half = 0x7fff + ((bits >> 16) & 1);
    match value.is_nan() {
        true => bits | QUIET,
        false => bits.wrapping_add(half),
    }
}
