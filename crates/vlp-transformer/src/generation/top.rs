//! The most probable tokens of a row.

/// The `count` greatest log-probabilities as (token, log-probability), greatest first; ties go to the lower token.
pub fn most_probable(log_probs: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(count.min(log_probs.len()));
    let tokens = log_probs.iter().enumerate();
    let tokens = tokens.map(|(token, &log_prob)| (token as u32, log_prob));
    if count >= log_probs.len() {
        best.extend(tokens);
        best.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        return best;
    }
    for (token, log_prob) in tokens {
        if best.len() == count && best.last().is_none_or(|worst| log_prob <= worst.1) {
            continue;
        }
        let rank = best.partition_point(|other| other.1 >= log_prob);
        best.insert(rank, (token, log_prob));
        best.truncate(count);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_come_first_and_the_lower_token_of_equal_ones() {
        let row = [-3.0, -1.0, f32::NEG_INFINITY, -1.0, -2.0];
        let all = [(1, -1.0), (3, -1.0), (4, -2.0), (0, -3.0)];
        for count in 0..4 {
            assert_eq!(most_probable(&row, count), all[..count], "{count}");
        }
        assert_eq!(most_probable(&row, usize::MAX)[..4], all);
        assert_eq!(most_probable(&row, 5)[4].0, 2);
    }
}
