//! Convolution in bf16 by AMX, without an im2col matrix: the input is padded once so that each tap is at a constant distance
//! from the position ([`PaddedLayout`](super::padded::PaddedLayout)), and tiles are loaded from it directly, sixteen
//! neighbors a row.

#[cfg(target_arch = "x86_64")]
mod forward;
#[cfg(not(target_arch = "x86_64"))]
mod unsupported;
#[cfg(target_arch = "x86_64")]
mod weight_grad;

use super::shape::ConvShape;

#[cfg(target_arch = "x86_64")]
pub(super) use forward::convolve;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use unsupported::{convolve, weight_grad};
#[cfg(target_arch = "x86_64")]
pub(super) use weight_grad::weight_grad;

/// Whether the channels fill enough rows of a tile.
pub(super) fn fits(shape: &ConvShape) -> bool {
    /// Half of a block.
    const MIN_CHANNELS: usize = 16;
    shape.in_channels.min(shape.out_channels) >= MIN_CHANNELS
}

/// The nearest bf16 value in the upper half of 32 bits, ties to even; NaN stays NaN. The lower half is unspecified.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn round_to_bf16(value: f32) -> u32 {
    const QUIET_NAN: u32 = 1 << 22;
    let bits = value.to_bits();
    let half = 0x7fff + ((bits >> 16) & 1);
    match value.is_nan() {
        true => bits | QUIET_NAN,
        false => bits.wrapping_add(half),
    }
}
