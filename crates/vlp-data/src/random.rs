use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// The random generator of one decision: the only source of randomness in vlp.
///
/// The 256-bit seed of ChaCha8 is the four values themselves, 64 bits each (`purpose` by its FNV-1a hash), so streams of
/// different values are independent and there is no state to carry, store or restore.
///
/// - `seed`: the run's seed,
/// - `epoch`: the epoch, or the step for decisions made per step,
/// - `key`: the sample's key ([`Source::key`](crate::Source::key)), or 0 for decisions about the whole set,
/// - `purpose`: what is decided, such as `"caption"`: two decisions about one sample must not share a stream.
///
/// ```
/// use rand::RngExt;
/// let draw = |key| vlp_data::rng(7, 0, key, "flip").random::<u64>();
/// assert_eq!(draw(1), draw(1));
/// assert_ne!(draw(1), draw(2));
/// ```
pub fn rng(seed: u64, epoch: u64, key: u64, purpose: &str) -> ChaCha8Rng {
    let hash = purpose
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let mut bytes = [0; 32];
    for (slot, value) in bytes.chunks_exact_mut(8).zip([seed, epoch, key, hash]) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::Rng;

    use super::rng;

    #[test]
    fn the_stream_is_fixed_for_ever() {
        // Recorded values: another stream would change every data order and mask of a stored run.
        let mut r = rng(1, 2, 3, "caption");
        assert_eq!(
            [r.next_u64(), r.next_u64()],
            [6_960_615_896_837_847_368, 2_996_846_523_065_685_613]
        );
    }

    #[test]
    fn each_value_changes_the_stream() {
        let first = |mut r: rand_chacha::ChaCha8Rng| r.next_u64();
        let all = [
            first(rng(0, 0, 0, "a")),
            first(rng(1, 0, 0, "a")),
            first(rng(0, 1, 0, "a")),
            first(rng(0, 0, 1, "a")),
            first(rng(0, 0, 0, "b")),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "value {i}");
        }
    }
}
