//! Values that are computed from a name, an index and a seed instead of stored.

/// `offset + scale * u(i)` for `count` values: SplitMix64 of the FNV-1a hash of the name, `u` in `[-1, 1)`.
pub(crate) fn hashed(name: &str, count: usize, scale: f64, offset: f64, seed: u64) -> Vec<f32> {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1..=count as u64)
        .map(|i| {
            let z = (hash ^ seed).wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let z = z ^ (z >> 31);
            let u = (z >> 40) as f64 / f64::from(1 << 23) - 1.0;
            (offset + scale * u) as f32
        })
        .collect()
}
