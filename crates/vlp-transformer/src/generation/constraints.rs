//! Constraints on the next token.

use super::GenerationConfig;

/// The largest number of tokens that [`allowed`] removes.
pub(super) fn max_forbidden(config: &GenerationConfig) -> usize {
    let ngrams = match config.no_repeat_ngram_size {
        0 => 0,
        _ => config.max_new_tokens,
    };
    ngrams + usize::from(config.min_new_tokens > 0)
}

/// The candidates that may follow `ids`, in their order: without `eos` before `min_new_tokens`, and without tokens that
/// would repeat an n-gram of size `no_repeat_ngram_size`. If no candidate is left, only `eos` is allowed.
pub(super) fn allowed(
    candidates: &[(u32, f32)],
    ids: &[u32],
    config: &GenerationConfig,
) -> Vec<(u32, f32)> {
    let mut forbidden = vec![];
    if ids.len() < config.min_new_tokens {
        forbidden.push(config.eos);
    }
    if let Some(prefix_size) = config.no_repeat_ngram_size.checked_sub(1)
        && let Some(start) = ids.len().checked_sub(prefix_size)
    {
        let ngrams = ids.windows(config.no_repeat_ngram_size);
        let repeated = ngrams.filter(|ngram| ngram[..prefix_size] == ids[start..]);
        forbidden.extend(repeated.map(|ngram| ngram[prefix_size]));
    }
    let mut left: Vec<(u32, f32)> = candidates.to_vec();
    left.retain(|(token, log_prob)| *log_prob != f32::NEG_INFINITY && !forbidden.contains(token));
    if left.is_empty() {
        left.extend(candidates.iter().find(|(token, _)| *token == config.eos));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed_tokens(ids: &[u32], min_new_tokens: usize, no_repeat_ngram_size: usize) -> Vec<u32> {
        let config = GenerationConfig {
            min_new_tokens,
            no_repeat_ngram_size,
            ..GenerationConfig::greedy(9, 3, 10)
        };
        let candidates: Vec<(u32, f32)> = (0..4).map(|token| (token, -1.0)).collect();
        let left = allowed(&candidates, ids, &config);
        assert!(left.len() + max_forbidden(&config) >= candidates.len());
        left.into_iter().map(|(token, _)| token).collect()
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
