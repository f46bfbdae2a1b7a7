//! Greedy and beam search over anything that scores the next token.

use serde::{Deserialize, Serialize};

use crate::constrain::constrain;

/// Scores next tokens for a batch of rows, keeping whatever cache it likes.
pub trait NextToken {
    /// Log-probabilities of the token after `last`, one row of vocabulary size for each row of the batch.
    ///
    /// Called with the first token, then with each chosen one; rows keep their order between calls
    /// except for [`Self::reorder`].
    fn next(&mut self, last: &[u32]) -> Vec<Vec<f32>>;

    /// Row `i` goes on as a copy of row `rows[i]`.
    fn reorder(&mut self, rows: &[usize]);
}

/// How to search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationConfig {
    /// First token.
    pub bos: u32,
    /// Token that ends a text.
    pub eos: u32,
    /// Most tokens to generate, `eos` included, `bos` not.
    pub max_len: usize,
    /// Fewest tokens before `eos` may end a text.
    #[serde(default)]
    pub min_len: usize,
    /// Rows kept for each image; 1 is greedy search.
    pub beams: usize,
    /// Scores are sums of log-probabilities over `length ^ length_penalty`; 0 compares bare sums.
    pub length_penalty: f64,
    /// No run of so many tokens occurs twice in a text; 0 allows all.
    #[serde(default)]
    pub no_repeat: usize,
}

impl GenerationConfig {
    /// Greedy search from `bos` to `eos`, at most `max_len` tokens.
    pub fn greedy(bos: u32, eos: u32, max_len: usize) -> Self {
        Self {
            bos,
            eos,
            max_len,
            min_len: 0,
            beams: 1,
            length_penalty: 0.0,
            no_repeat: 0,
        }
    }
}

/// One generated text.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// Tokens between `bos` and `eos`, both left out.
    pub ids: Vec<u32>,
    /// Sum of log-probabilities after the length penalty, the end included where there is one.
    pub score: f64,
}

#[derive(Clone)]
struct Beam {
    ids: Vec<u32>,
    sum: f64,
}

/// Searches texts for `images` images, each until `beams` texts have ended or `max_len` is reached. The model's batch must hold `images * beams` rows, the beams of
/// an image side by side.
pub fn generate(
    model: &mut impl NextToken,
    images: usize,
    config: &GenerationConfig,
) -> Vec<Generated> {
    let width = config.beams.max(1);
    // All beams of an image start equal: only the first may be extended at the first step.
    let mut live: Vec<Vec<Beam>> = (0..images)
        .map(|_| {
            (0..width)
                .map(|b| Beam {
                    ids: vec![],
                    sum: if b == 0 { 0.0 } else { f64::NEG_INFINITY },
                })
                .collect()
        })
        .collect();
    let mut ended: Vec<Vec<Generated>> = vec![vec![]; images];
    // Images whose search was still on at the last step: their open texts compete with those that ended.
    let mut cut = vec![config.max_len == 0; images];
    let mut last = vec![config.bos; images * width];
    let score = |sum: f64, length: usize| sum / (length.max(1) as f64).powf(config.length_penalty);
    for step in 0..config.max_len {
        let mut rows = model.next(&last);
        let mut order = Vec::with_capacity(images * width);
        for (image, beams) in live.iter_mut().enumerate() {
            let base = image * width;
            if ended[image].len() >= width {
                // Its search is over: what else the batch holds must not change its text.
                order.extend(base..base + width);
                continue;
            }
            cut[image] = step + 1 == config.max_len;
            for (beam, row) in beams.iter().zip(&mut rows[base..base + width]) {
                constrain(row, &beam.ids, config);
            }
            let mut next = Vec::with_capacity(width);
            for (beam, token, sum) in best(beams, &rows[base..base + width], 2 * width) {
                if next.len() == width {
                    break;
                }
                if token == config.eos {
                    let ids = beams[beam].ids.clone();
                    let score = score(sum, ids.len() + 1);
                    ended[image].push(Generated { ids, score });
                    continue;
                }
                let mut ids = beams[beam].ids.clone();
                ids.push(token);
                next.push((beam, Beam { ids, sum }));
            }
            while next.len() < width {
                // A vocabulary smaller than two beams: repeat what there is, never to be chosen.
                next.push((
                    0,
                    Beam {
                        ids: beams[0].ids.clone(),
                        sum: f64::NEG_INFINITY,
                    },
                ));
            }
            order.extend(next.iter().map(|(beam, _)| base + beam));
            *beams = next.into_iter().map(|(_, beam)| beam).collect();
        }
        if step + 1 == config.max_len || ended.iter().all(|e| e.len() >= width) {
            break;
        }
        if order.iter().enumerate().any(|(i, &row)| i != row) {
            model.reorder(&order);
        }
        last = live
            .iter()
            .flatten()
            .map(|beam| beam.ids.last().copied().unwrap_or(config.bos))
            .collect();
    }
    live.into_iter()
        .zip(ended)
        .zip(cut)
        .map(|((beams, mut ended), cut)| {
            let open = beams
                .into_iter()
                .filter(|b| cut && b.sum > f64::NEG_INFINITY);
            ended.extend(open.map(|b| Generated {
                score: score(b.sum, b.ids.len()),
                ids: b.ids,
            }));
            // The first of equals wins, so that a search is reproducible.
            ended
                .into_iter()
                .reduce(|a, b| if b.score > a.score { b } else { a })
                .unwrap_or(Generated {
                    ids: vec![],
                    score: f64::NEG_INFINITY,
                })
        })
        .collect()
}

/// The `count` best extensions as (beam, token, sum), best first; ties go to the lower beam and token.
fn best(beams: &[Beam], rows: &[Vec<f32>], count: usize) -> Vec<(usize, u32, f64)> {
    let mut all: Vec<(usize, u32, f64)> = Vec::new();
    for (beam, (state, row)) in beams.iter().zip(rows).enumerate() {
        if state.sum == f64::NEG_INFINITY {
            continue;
        }
        for (token, &log_prob) in row.iter().enumerate() {
            if log_prob == f32::NEG_INFINITY {
                continue;
            }
            let sum = state.sum + f64::from(log_prob);
            if all.len() == count && all.last().is_some_and(|worst| sum <= worst.2) {
                continue;
            }
            let at = all.partition_point(|kept| kept.2 >= sum);
            all.insert(at, (beam, token as u32, sum));
            all.truncate(count);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// A fixed Markov chain over 4 tokens, 3 = end; remembers whole prefixes to check `reorder`.
    struct Chain {
        prefixes: Vec<Vec<u32>>,
    }

    fn row(last: u32) -> Vec<f32> {
        let p: [f32; 4] = match last {
            0 => [0.0, 0.6, 0.4, 0.0],
            1 => [0.0, 0.35, 0.35, 0.3],
            _ => [0.0, 0.05, 0.05, 0.9],
        };
        p.iter().map(|p| p.max(1e-9).ln()).collect()
    }

    impl NextToken for Chain {
        fn next(&mut self, last: &[u32]) -> Vec<Vec<f32>> {
            for (prefix, &token) in self.prefixes.iter_mut().zip(last) {
                prefix.push(token);
            }
            last.iter().map(|&t| row(t)).collect()
        }
        fn reorder(&mut self, rows: &[usize]) {
            self.prefixes = rows.iter().map(|&r| self.prefixes[r].clone()).collect();
        }
    }

    fn config(beams: usize) -> GenerationConfig {
        GenerationConfig {
            beams,
            ..GenerationConfig::greedy(0, 3, 6)
        }
    }

    /// The most probable text by trying all of them.
    fn exhaustive() -> (Vec<u32>, f64) {
        let mut best = (vec![], f64::NEG_INFINITY);
        let mut open = vec![(vec![0u32], 0.0f64)];
        while let Some((ids, sum)) = open.pop() {
            let scores = row(*ids.last().unwrap());
            let end = sum + f64::from(scores[3]);
            if end > best.1 {
                best = (ids[1..].to_vec(), end);
            }
            if ids.len() < 6 {
                for t in 1..3u32 {
                    let mut longer = ids.clone();
                    longer.push(t);
                    open.push((longer, sum + f64::from(scores[t as usize])));
                }
            }
        }
        best
    }

    #[test]
    fn greedy_follows_the_best_token_and_beams_find_the_best_text() {
        let greedy = &generate(
            &mut Chain {
                prefixes: vec![vec![]],
            },
            1,
            &config(1),
        )[0];
        assert_eq!(
            greedy.ids[0], 1,
            "greedy takes the locally best first token"
        );
        let (ids, score) = exhaustive();
        let found = &generate(
            &mut Chain {
                prefixes: vec![vec![]; 8],
            },
            2,
            &config(4),
        )[1];
        assert_eq!(
            (found.ids.clone(), (found.score - score).abs() < 1e-9),
            (ids, true)
        );
        assert!(found.score > greedy.score);
    }

    #[test]
    fn cached_rows_follow_their_beams() {
        let mut chain = Chain {
            prefixes: vec![vec![]; 6],
        };
        let mut short = config(3);
        short.max_len = 3;
        short.eos = 99;
        generate(&mut chain, 2, &short);
        for prefix in chain.prefixes {
            assert_eq!(
                (prefix[0], prefix.len()),
                (0, 3),
                "every row saw the whole of its own prefix"
            );
        }
    }
}
