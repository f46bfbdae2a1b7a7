use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::hash::fnv1a;

/// The random generator of one decision: the only source of randomness in vlp.
///
/// The 256-bit seed of ChaCha8 consists of the four values, 64 bits each (`purpose` by its FNV-1a hash). Different values
/// give independent streams, and there is no state to save or restore.
///
/// - `seed`: the run's seed,
/// - `epoch`: the epoch, or the step for decisions per step,
/// - `key`: the sample's key ([`Source::key`](crate::Source::key)), or 0 for decisions about the whole set,
/// - `purpose`: the decision, such as `"caption"`. Two decisions about a sample need different purposes. Renaming a purpose
///   changes the results of every seed.
///
/// ```
/// use rand::RngExt;
/// let draw = |key| vlp_data::rng(7, 0, key, "flip").random::<u64>();
/// assert_eq!(draw(1), draw(1));
/// assert_ne!(draw(1), draw(2));
/// ```
pub fn rng(seed: u64, epoch: u64, key: u64, purpose: &str) -> ChaCha8Rng {
    let purpose = fnv1a(purpose.bytes());
    let mut bytes = [0; 32];
    for (slot, value) in bytes.chunks_exact_mut(8).zip([seed, epoch, key, purpose]) {
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
    fn the_stream_equals_recorded_values() {
        // Another stream would change the data order and masks of every seed.
        let mut rng = rng(1, 2, 3, "caption");
        assert_eq!(
            [rng.next_u64(), rng.next_u64()],
            [6_960_615_896_837_847_368, 2_996_846_523_065_685_613]
        );
    }

    #[test]
    fn each_value_changes_the_stream() {
        let first = |mut rng: rand_chacha::ChaCha8Rng| rng.next_u64();
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
