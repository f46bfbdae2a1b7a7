//! Sampling with temperature, top-k and top-p (nucleus sampling; Holtzman et al., ICLR 2020).

use getset::WithSetters;
use serde::{Deserialize, Serialize};

use super::constraints::{allowed, max_forbidden};
use super::{GeneratedSequence, GenerationConfig, TokenScorer};

/// Options of sampling. The default samples from the model's own distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Log-probabilities are divided by this, which must be above 0; below 1 makes probable tokens more probable. Values below
    /// 1e-6 count as 1e-6.
    pub temperature: f64,
    /// Keeps the smallest set of most probable tokens whose probabilities sum to at least this, in `(0, 1]`.
    pub top_p: f64,
    /// Keeps this many most probable tokens; 0 keeps all.
    pub top_k: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
        }
    }
}

/// Samples a text for each of `rows` rows of the model's batch; `config.num_beams` is ignored.
///
/// `random` returns a number in `[0, 1)` for a row. It is called once for each token of a text that has not ended, in
/// order. Scores are log-probabilities under the model, before temperature, top-k and top-p.
pub fn sample(
    model: &mut (impl TokenScorer + ?Sized),
    rows: usize,
    config: &GenerationConfig,
    sampling: &Sampling,
    mut random: impl FnMut(usize) -> f64,
) -> Vec<GeneratedSequence> {
    let mut texts = vec![(Vec::new(), 0.0_f64, false); rows];
    let mut last = vec![config.bos; rows];
    let candidate_count = match sampling.top_k {
        0 => usize::MAX,
        top_k => top_k.saturating_add(max_forbidden(config)),
    };
    for _ in 0..config.max_new_tokens {
        let candidates = model.next_tokens(&last, candidate_count);
        for (row, (ids, sum, ended)) in texts.iter_mut().enumerate() {
            if *ended {
                continue;
            }
            let tokens = allowed(&candidates[row], ids, config);
            let Some((token, log_prob)) = choose(&tokens, sampling, random(row)) else {
                *ended = true;
                continue;
            };
            *sum += f64::from(log_prob);
            last[row] = token;
            *ended = token == config.eos;
            if !*ended {
                ids.push(token);
            }
        }
        if texts.iter().all(|(_, _, ended)| *ended) {
            break;
        }
    }
    texts
        .into_iter()
        .map(|(ids, sum, ended)| GeneratedSequence {
            score: config.score(sum, ids.len() + usize::from(ended)),
            ids,
        })
        .collect()
}

/// The token at `quantile`, in `[0, 1)`, of the distribution after temperature, top-k and top-p. Tokens are given in
/// descending order of probability; `None` without tokens.
fn choose(tokens: &[(u32, f32)], sampling: &Sampling, quantile: f64) -> Option<(u32, f32)> {
    let tokens = match sampling.top_k {
        0 => tokens,
        top_k => &tokens[..top_k.min(tokens.len())],
    };
    let max = tokens.first().map_or(0.0, |first| f64::from(first.1));
    let temperature = sampling.temperature.max(1e-6);
    let weight = |token: &(u32, f32)| ((f64::from(token.1) - max) / temperature).exp();
    let weights: Vec<f64> = tokens.iter().map(weight).collect();
    let total: f64 = weights.iter().sum();
    let (mut nucleus, mut count) = (0.0, 0);
    while count < weights.len() && (count == 0 || nucleus < sampling.top_p * total) {
        nucleus += weights[count];
        count += 1;
    }
    let mut rest = quantile * nucleus;
    for (&token, weight) in tokens.iter().zip(&weights).take(count) {
        if rest < *weight {
            return Some(token);
        }
        rest -= weight;
    }
    // Rounding may exceed the sum of all weights.
    tokens.get(count.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::most_probable;
    use super::*;

    /// The same four probabilities at every position.
    struct Constant([f32; 4]);

    impl TokenScorer for Constant {
        fn next_tokens(&mut self, last: &[u32], count: usize) -> Vec<Vec<(u32, f32)>> {
            let log_probs: Vec<f32> = self.0.iter().map(|p| p.ln()).collect();
            vec![most_probable(&log_probs, count); last.len()]
        }

        fn reorder(&mut self, _rows: &[usize]) {}
    }

    fn frequencies(sampling: Sampling) -> [f64; 4] {
        let config = GenerationConfig::greedy(0, 99, 1000);
        // Fills the unit interval evenly (golden ratio).
        let mut quantile = 0.0_f64;
        let mut model = Constant([0.1, 0.5, 0.15, 0.25]);
        let texts = sample(&mut model, 1, &config, &sampling, |_| {
            quantile = (quantile + 0.618_033_988_749_895).fract();
            quantile
        });
        let mut frequencies = [0.0; 4];
        for &id in &texts[0].ids {
            frequencies[id as usize] += 1.0 / 1000.0;
        }
        frequencies
    }

    #[test]
    fn samples_follow_temperature_top_k_and_top_p() {
        let model = Sampling::default();
        let top_p = |top_p| Sampling { top_p, ..model };
        for (sampling, expected) in [
            (model, [0.1, 0.5, 0.15, 0.25]),
            (Sampling { top_k: 1, ..model }, [0.0, 1.0, 0.0, 0.0]),
            (top_p(0.6), [0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0]),
            (top_p(1e-9), [0.0, 1.0, 0.0, 0.0]),
            // Squared: 0.01, 0.25, 0.0225, 0.0625 of 0.345.
            (
                Sampling {
                    temperature: 0.5,
                    ..model
                },
                [0.029, 0.725, 0.065, 0.181],
            ),
        ] {
            let frequencies = frequencies(sampling);
            for (a, b) in frequencies.iter().zip(expected) {
                // Of 1,000 evenly spread quantiles a few fall on the other side of a boundary.
                assert!(
                    (a - b).abs() < 0.005,
                    "{sampling:?}: {frequencies:?}, expected {expected:?}"
                );
            }
        }
    }

    #[test]
    fn sampled_texts_end_and_are_scored_by_the_model() {
        let config = GenerationConfig {
            min_new_tokens: 2,
            ..GenerationConfig::greedy(0, 3, 5)
        };
        // Row 0 always takes the least probable token: 3, where it is allowed.
        let mut model = Constant([0.4, 0.3, 0.2, 0.1]);
        let texts = sample(&mut model, 2, &config, &Sampling::default(), |row| {
            if row == 0 { 0.999 } else { 0.0 }
        });
        assert_eq!(texts[0].ids, [2, 2]);
        let expected = f64::from(0.2_f32).ln() * 2.0 + f64::from(0.1_f32).ln();
        assert!((texts[0].score - expected).abs() < 1e-6);
        assert_eq!(texts[1].ids, [0; 5]);
    }
}
