//! Elementary functions in operations that vectorize.

/// `e^x`, to 2 units in the last place, for `x` clamped to at most 88; 0 below -87 (Cephes' `expf`).
#[inline(always)]
pub(crate) fn exp(value: f32) -> f32 {
    let x = if value < -87.0 { -87.0 } else { value };
    let x = if x > 88.0 { 88.0 } else { x };
    // Adding 1.5 * 2^23 rounds to an integer, which is in the last bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let sum = x * std::f32::consts::LOG2_E + ROUND;
    let n = sum - ROUND;
    // ln 2 in two parts, of which the first is exact in few bits.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let power = sum
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    let y = p * f32::from_bits(power);
    if value < -87.0 { 0.0 } else { y }
}

/// The error function, to 4e-7: a rational function on `[-4, 4]` (as in Eigen).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let clamped = x.clamp(-4.0, 4.0);
    let s = clamped * clamped;
    let a = -2.726_142_4e-10;
    let a = a * s + 2.770_681_4e-8;
    let a = a * s - 2.101_024e-6;
    let a = a * s - 5.692_506_5e-5;
    let a = a * s - 7.349_906_3e-4;
    let a = a * s - 2.954_6e-3;
    let a = a * s - 1.609_603_3e-2;
    let b = -1.456_607_2e-5;
    let b = b * s - 2.133_740_6e-4;
    let b = b * s - 1.682_827e-3;
    let b = b * s - 7.373_329e-3;
    let b = b * s - 1.426_474e-2;
    // From here on erf rounds to 1 in f32.
    let y = if x > 3.92 { 1.0 } else { clamped * a / b };
    if x < -3.92 { -1.0 } else { y }
}
