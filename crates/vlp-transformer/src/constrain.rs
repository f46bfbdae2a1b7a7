//! Tokens that may not come next.

use crate::generate::GenerationConfig;

/// Sets the log-probabilities of tokens that may not follow `ids` to minus infinity: the end before `min_len`, and whatever
/// would repeat a run of `no_repeat` tokens. Where that leaves nothing the text may end.
pub(crate) fn constrain(row: &mut [f32], ids: &[u32], config: &GenerationConfig) {
    if ids.len() >= config.min_len && config.no_repeat == 0 {
        return;
    }
    let end = row.get(config.eos as usize).copied();
    let mut forbid = |token: u32| {
        if let Some(log_prob) = row.get_mut(token as usize) {
            *log_prob = f32::NEG_INFINITY;
        }
    };
    if ids.len() < config.min_len {
        forbid(config.eos);
    }
    if let Some(before) = config.no_repeat.checked_sub(1)
        && ids.len() >= before
    {
        let last = &ids[ids.len() - before..];
        for run in ids.windows(config.no_repeat) {
            if run[..before] == *last {
                forbid(run[before]);
            }
        }
    }
    if row.iter().all(|&log_prob| log_prob == f32::NEG_INFINITY)
        && let (Some(place), Some(end)) = (row.get_mut(config.eos as usize), end)
    {
        *place = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(ids: &[u32], min_len: usize, no_repeat: usize) -> Vec<usize> {
        let config = GenerationConfig {
            min_len,
            no_repeat,
            ..GenerationConfig::greedy(9, 3, 10)
        };
        let mut row = [-1.0_f32; 4];
        constrain(&mut row, ids, &config);
        (0..4).filter(|&token| row[token] == -1.0).collect()
    }

    #[test]
    fn ends_are_late_enough_and_runs_occur_once() {
        for (ids, min_len, no_repeat, expected) in [
            (&[0, 1][..], 0, 0, &[0, 1, 2, 3][..]),
            (&[0, 1], 3, 0, &[0, 1, 2]),
            (&[0, 1, 2], 3, 0, &[0, 1, 2, 3]),
            // No token twice.
            (&[0, 1], 0, 1, &[2, 3]),
            // "0 1" has occurred, and so has "0 2".
            (&[0, 1, 0, 2, 0], 0, 2, &[0, 3]),
            (&[0, 1], 0, 3, &[0, 1, 2, 3]),
            // Nothing is left but the end, though it comes too early.
            (&[0, 1, 2], 9, 1, &[3]),
        ] {
            assert_eq!(
                left(ids, min_len, no_repeat),
                expected,
                "{ids:?}, at least {min_len}, runs of {no_repeat}"
            );
        }
    }
}
