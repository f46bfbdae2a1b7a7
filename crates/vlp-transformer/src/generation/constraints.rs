//! Constraints on the next token.

use super::GenerationConfig;

/// Sets the log-probabilities of tokens that must not follow `ids` to minus infinity: `eos` before `min_new_tokens`, and
/// any token that would repeat an n-gram of `no_repeat_ngram_size`. If no token is left, `eos` is allowed.
pub(super) fn constrain(log_probs: &mut [f32], ids: &[u32], config: &GenerationConfig) {
    if ids.len() >= config.min_new_tokens && config.no_repeat_ngram_size == 0 {
        return;
    }
    let eos_log_prob = log_probs.get(config.eos as usize).copied();
    let mut forbid = |token: u32| {
        if let Some(log_prob) = log_probs.get_mut(token as usize) {
            *log_prob = f32::NEG_INFINITY;
        }
    };
    if ids.len() < config.min_new_tokens {
        forbid(config.eos);
    }
    if let Some(prefix_size) = config.no_repeat_ngram_size.checked_sub(1)
        && ids.len() >= prefix_size
    {
        let prefix = &ids[ids.len() - prefix_size..];
        for ngram in ids.windows(config.no_repeat_ngram_size) {
            if ngram[..prefix_size] == *prefix {
                forbid(ngram[prefix_size]);
            }
        }
    }
    if log_probs
        .iter()
        .all(|&log_prob| log_prob == f32::NEG_INFINITY)
        && let (Some(slot), Some(eos_log_prob)) =
            (log_probs.get_mut(config.eos as usize), eos_log_prob)
    {
        *slot = eos_log_prob;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed_tokens(
        ids: &[u32],
        min_new_tokens: usize,
        no_repeat_ngram_size: usize,
    ) -> Vec<usize> {
        let config = GenerationConfig {
            min_new_tokens,
            no_repeat_ngram_size,
            ..GenerationConfig::greedy(9, 3, 10)
        };
        let mut log_probs = [-1.0_f32; 4];
        constrain(&mut log_probs, ids, &config);
        (0..4).filter(|&token| log_probs[token] == -1.0).collect()
    }

    #[test]
    fn early_eos_and_repeated_ngrams_are_forbidden() {
        for (ids, min_new_tokens, ngram_size, expected) in [
            (&[0, 1][..], 0, 0, &[0, 1, 2, 3][..]),
            (&[0, 1], 3, 0, &[0, 1, 2]),
            (&[0, 1, 2], 3, 0, &[0, 1, 2, 3]),
            // No token twice.
            (&[0, 1], 0, 1, &[2, 3]),
            // "0 1" and "0 2" have occurred.
            (&[0, 1, 0, 2, 0], 0, 2, &[0, 3]),
            (&[0, 1], 0, 3, &[0, 1, 2, 3]),
            // Only `eos` is left, although it comes too early.
            (&[0, 1, 2], 9, 1, &[3]),
        ] {
            assert_eq!(
                allowed_tokens(ids, min_new_tokens, ngram_size),
                expected,
                "{ids:?}, min_new_tokens {min_new_tokens}, n-grams of {ngram_size}"
            );
        }
    }
}
