//! Texts drawn at random from what a model holds probable (nucleus sampling; Holtzman et al., ICLR 2020).

use serde::{Deserialize, Serialize};

use crate::constrain::constrain;
use crate::generate::{Generated, GenerationConfig, NextToken};

/// Which tokens are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Log-probabilities are divided by this, above 0: below 1 probable tokens are drawn more often still.
    pub temperature: f64,
    /// Only the most probable tokens that have this share together, in `(0, 1]`; at least one.
    pub top_p: f64,
    /// Only so many most probable tokens; 0 for all.
    pub top_k: usize,
}

impl Default for Sampling {
    /// From the model's own distribution.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
        }
    }
}

/// Draws a text for each of `rows` rows of the model's batch. `config.beams` has no meaning here.
///
/// `draw` gives a number in `[0, 1)` for a row; it is asked once for each token of a text that has not ended, in order.
/// Scores are log-probabilities under the model, without temperature and cuts.
pub fn sample(
    model: &mut impl NextToken,
    rows: usize,
    config: &GenerationConfig,
    sampling: &Sampling,
    mut draw: impl FnMut(usize) -> f64,
) -> Vec<Generated> {
    let mut texts = vec![(Vec::new(), 0.0_f64, false); rows];
    let mut last = vec![config.bos; rows];
    for _ in 0..config.max_len {
        let scores = model.next(&last);
        for (row, (ids, sum, ended)) in texts.iter_mut().enumerate() {
            if *ended {
                continue;
            }
            let mut open = scores[row].clone();
            constrain(&mut open, ids, config);
            let token = choose(&open, sampling, draw(row));
            *sum += f64::from(scores[row][token]);
            last[row] = token as u32;
            *ended = token as u32 == config.eos;
            if !*ended {
                ids.push(token as u32);
            }
        }
        if texts.iter().all(|(_, _, ended)| *ended) {
            break;
        }
    }
    let score = |sum: f64, length: usize| sum / (length.max(1) as f64).powf(config.length_penalty);
    texts
        .into_iter()
        .map(|(ids, sum, ended): (Vec<u32>, f64, bool)| Generated {
            score: score(sum, ids.len() + usize::from(ended)),
            ids,
        })
        .collect()
}

/// The token at place `at`, in `[0, 1)`, of the shares that are left.
fn choose(log_probs: &[f32], sampling: &Sampling, at: f64) -> usize {
    let mut order: Vec<usize> = (0..log_probs.len()).collect();
    order.sort_by(|&a, &b| log_probs[b].total_cmp(&log_probs[a]));
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k);
    }
    let best = order
        .first()
        .map_or(0.0, |&first| f64::from(log_probs[first]));
    let temperature = sampling.temperature.max(1e-6);
    let weight = |&token: &usize| ((f64::from(log_probs[token]) - best) / temperature).exp();
    let weights: Vec<f64> = order.iter().map(weight).collect();
    let total: f64 = weights.iter().sum();
    let mut kept = 0.0;
    let mut count = 0;
    while count < weights.len() && (count == 0 || kept < sampling.top_p * total) {
        kept += weights[count];
        count += 1;
    }
    let mut rest = at * kept;
    for (&token, weight) in order.iter().zip(&weights).take(count) {
        if rest < *weight {
            return token;
        }
        rest -= weight;
    }
    // Rounding may leave the draw at the very end.
    order[count.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The same four probabilities at every place.
    struct Same([f32; 4]);

    impl NextToken for Same {
        fn next(&mut self, last: &[u32]) -> Vec<Vec<f32>> {
            last.iter()
                .map(|_| self.0.iter().map(|p| p.ln()).collect())
                .collect()
        }
        fn reorder(&mut self, _rows: &[usize]) {}
    }

    fn counts(sampling: Sampling) -> [f64; 4] {
        let config = GenerationConfig::greedy(0, 99, 1000);
        // A sequence that fills the unit interval evenly (golden ratio).
        let mut at = 0.0_f64;
        let found = sample(
            &mut Same([0.1, 0.5, 0.15, 0.25]),
            1,
            &config,
            &sampling,
            |_| {
                at = (at + 0.618_033_988_749_895).fract();
                at
            },
        );
        let mut counts = [0.0; 4];
        for &id in &found[0].ids {
            counts[id as usize] += 1.0 / 1000.0;
        }
        counts
    }

    #[test]
    fn draws_follow_the_shares_that_are_left() {
        let plain = Sampling::default();
        for (sampling, expected) in [
            (plain, [0.1, 0.5, 0.15, 0.25]),
            (Sampling { top_k: 1, ..plain }, [0.0, 1.0, 0.0, 0.0]),
            (
                Sampling {
                    top_p: 0.6,
                    ..plain
                },
                [0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0],
            ),
            (
                Sampling {
                    top_p: 1e-9,
                    ..plain
                },
                [0.0, 1.0, 0.0, 0.0],
            ),
            // Squared: 0.01, 0.25, 0.0225, 0.0625 of 0.345.
            (
                Sampling {
                    temperature: 0.5,
                    ..plain
                },
                [0.029, 0.725, 0.065, 0.181],
            ),
        ] {
            let found = counts(sampling);
            for (a, b) in found.iter().zip(expected) {
                // 1,000 evenly spread draws: a few of them fall on the other side of a border.
                assert!(
                    (a - b).abs() < 0.005,
                    "{sampling:?}: {found:?}, not {expected:?}"
                );
            }
        }
    }

    #[test]
    fn texts_end_and_are_scored_by_the_model() {
        let config = GenerationConfig {
            min_len: 2,
            ..GenerationConfig::greedy(0, 3, 5)
        };
        // Always the least probable end of the interval: token 3 has the last share where it is allowed.
        let mut model = Same([0.4, 0.3, 0.2, 0.1]);
        let found = sample(&mut model, 2, &config, &Sampling::default(), |row| {
            if row == 0 { 0.999 } else { 0.0 }
        });
        assert_eq!(found[0].ids, [2, 2]);
        let expected = f64::from(0.2_f32).ln() * 2.0 + f64::from(0.1_f32).ln();
        assert!((found[0].score - expected).abs() < 1e-6);
        assert_eq!(found[1].ids, [0; 5]);
    }
}
