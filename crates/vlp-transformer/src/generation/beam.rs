//! Greedy and beam search.

use super::constraints::{allowed, max_forbidden};
use super::{GeneratedSequence, GenerationConfig, TokenScorer};

#[derive(Clone)]
struct Beam {
    ids: Vec<u32>,
    log_prob: f64,
}

/// Generates a text for each of `inputs` inputs, such as images: the best of [`beam_search_all`].
pub fn beam_search(
    model: &mut (impl TokenScorer + ?Sized),
    inputs: usize,
    config: &GenerationConfig,
) -> Vec<GeneratedSequence> {
    let texts = beam_search_all(model, inputs, config).into_iter();
    texts.filter_map(|texts| texts.into_iter().next()).collect()
}

/// The texts of all beams of each of `inputs` inputs, best score first: at least one, at most `num_beams`. A search ends
/// when `num_beams` texts have ended or at `max_new_tokens`.
///
/// The model's batch must have `inputs * num_beams` rows; the beams of an input are consecutive rows.
pub fn beam_search_all(
    model: &mut (impl TokenScorer + ?Sized),
    inputs: usize,
    config: &GenerationConfig,
) -> Vec<Vec<GeneratedSequence>> {
    let width = config.num_beams.max(1);
    // All beams of an input are equal at the start: only the first may be extended at the first step.
    let initial = |beam| Beam {
        ids: vec![],
        log_prob: if beam == 0 { 0.0 } else { f64::NEG_INFINITY },
    };
    let mut live: Vec<Vec<Beam>> = vec![(0..width).map(initial).collect(); inputs];
    let mut ended: Vec<Vec<GeneratedSequence>> = vec![vec![]; inputs];
    // Inputs whose search had not ended at the last step: their unfinished texts compete with those that ended.
    let mut truncated = vec![config.max_new_tokens == 0; inputs];
    let mut last = vec![config.bos; inputs * width];
    let candidate_count = 2 * width + max_forbidden(config);
    for step in 0..config.max_new_tokens {
        let is_last_step = step + 1 == config.max_new_tokens;
        let rows = model.next_tokens(&last, candidate_count);
        let mut order = Vec::with_capacity(inputs * width);
        for (input, beams) in live.iter_mut().enumerate() {
            let first_row = input * width;
            if ended[input].len() >= width {
                // The search is over; the other inputs of the batch must not change its result.
                order.extend(first_row..first_row + width);
                continue;
            }
            truncated[input] = is_last_step;
            let rows = beams.iter().zip(&rows[first_row..]);
            let rows: Vec<Vec<(u32, f32)>> = rows
                .map(|(beam, row)| allowed(row, &beam.ids, config))
                .collect();
            let mut next = Vec::with_capacity(width);
            let extensions = best_extensions(beams, &rows, 2 * width).into_iter();
            for (rank, (beam, token, log_prob)) in extensions.enumerate() {
                if next.len() == width {
                    break;
                }
                let mut ids = beams[beam].ids.clone();
                if token == config.eos {
                    // As in Hugging Face, a worse extension must not use up one of the texts after which the search ends.
                    if rank < width {
                        let score = config.score(log_prob, ids.len() + 1);
                        ended[input].push(GeneratedSequence { ids, score });
                    }
                    continue;
                }
                ids.push(token);
                next.push((beam, Beam { ids, log_prob }));
            }
            while next.len() < width {
                // The vocabulary is smaller than two beams: fill up with beams that are never chosen.
                let ids = beams[0].ids.clone();
                let log_prob = f64::NEG_INFINITY;
                next.push((0, Beam { ids, log_prob }));
            }
            order.extend(next.iter().map(|(beam, _)| first_row + beam));
            *beams = next.into_iter().map(|(_, beam)| beam).collect();
        }
        if is_last_step || ended.iter().all(|texts| texts.len() >= width) {
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
        .zip(truncated)
        .map(|((beams, mut texts), truncated)| {
            let unfinished = beams
                .into_iter()
                .filter(|beam| truncated && beam.log_prob > f64::NEG_INFINITY);
            texts.extend(unfinished.map(|beam| GeneratedSequence {
                score: config.score(beam.log_prob, beam.ids.len()),
                ids: beam.ids,
            }));
            // Stable, and 0 equals -0: the first of equal scores, so that a search is reproducible.
            texts.sort_by(|a, b| (b.score + 0.0).total_cmp(&(a.score + 0.0)));
            texts.truncate(width);
            if texts.is_empty() {
                texts.push(GeneratedSequence {
                    ids: vec![],
                    score: f64::NEG_INFINITY,
                });
            }
            texts
        })
        .collect()
}

/// The `count` best extensions as (beam, token, log-probability), best first; ties go to the lower beam, then token.
fn best_extensions(
    beams: &[Beam],
    rows: &[Vec<(u32, f32)>],
    count: usize,
) -> Vec<(usize, u32, f64)> {
    let mut best: Vec<(usize, u32, f64)> = Vec::new();
    for (index, (beam, row)) in beams.iter().zip(rows).enumerate() {
        if beam.log_prob == f64::NEG_INFINITY {
            continue;
        }
        for &(token, log_prob) in row {
            let sum = beam.log_prob + f64::from(log_prob);
            if best.len() == count && best.last().is_some_and(|worst| sum <= worst.2) {
                continue;
            }
            let rank = best.partition_point(|extension| extension.2 >= sum);
            best.insert(rank, (index, token, sum));
            best.truncate(count);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::most_probable;
    use super::*;

    /// Probabilities of the next token after 0, 1 and 2.
    type Probabilities = [[f32; 4]; 3];

    const PROBABILITIES: Probabilities = [
        [0.0, 0.6, 0.4, 0.0],
        [0.0, 0.35, 0.35, 0.3],
        [0.0, 0.05, 0.05, 0.9],
    ];

    /// A fixed Markov chain over 4 tokens, 3 = end; records the prefix of each row to check `reorder`.
    struct Chain {
        probabilities: Probabilities,
        prefixes: Vec<Vec<u32>>,
    }

    impl Chain {
        fn new(rows: usize) -> Self {
            Self {
                probabilities: PROBABILITIES,
                prefixes: vec![vec![]; rows],
            }
        }
    }

    fn log_probs(probabilities: &Probabilities, last: u32) -> Vec<f32> {
        let probabilities = probabilities[last.min(2) as usize];
        probabilities.iter().map(|p| p.max(1e-9).ln()).collect()
    }

    impl TokenScorer for Chain {
        fn next_tokens(&mut self, last: &[u32], count: usize) -> Vec<Vec<(u32, f32)>> {
            for (prefix, &token) in self.prefixes.iter_mut().zip(last) {
                prefix.push(token);
            }
            let row = |&token: &u32| most_probable(&log_probs(&self.probabilities, token), count);
            last.iter().map(row).collect()
        }

        fn reorder(&mut self, rows: &[usize]) {
            self.prefixes = rows.iter().map(|&row| self.prefixes[row].clone()).collect();
        }
    }

    fn config(num_beams: usize) -> GenerationConfig {
        GenerationConfig {
            num_beams,
            ..GenerationConfig::greedy(0, 3, 6)
        }
    }

    /// The most probable text, by trying all of them.
    fn exhaustive_search() -> (Vec<u32>, f64) {
        let mut best = (vec![], f64::NEG_INFINITY);
        let mut prefixes = vec![(vec![0u32], 0.0f64)];
        while let Some((ids, sum)) = prefixes.pop() {
            let log_probs = log_probs(&PROBABILITIES, *ids.last().unwrap());
            let score = sum + f64::from(log_probs[3]);
            if score > best.1 {
                best = (ids[1..].to_vec(), score);
            }
            if ids.len() < 6 {
                for token in 1..3u32 {
                    let longer = [ids.as_slice(), &[token]].concat();
                    prefixes.push((longer, sum + f64::from(log_probs[token as usize])));
                }
            }
        }
        best
    }

    #[test]
    fn greedy_takes_the_best_token_and_beams_find_the_best_text() {
        let greedy = &beam_search(&mut Chain::new(1), 1, &config(1))[0];
        assert_eq!(greedy.ids[0], 1);
        let (ids, score) = exhaustive_search();
        let text = &beam_search(&mut Chain::new(8), 2, &config(4))[1];
        assert_eq!(text.ids, ids);
        assert!((text.score - score).abs() < 1e-9);
        assert!(text.score > greedy.score);
    }

    #[test]
    fn beams_are_distinct_texts_and_the_best_is_first() {
        let texts = &beam_search_all(&mut Chain::new(8), 2, &config(4))[1];
        assert_eq!(texts.len(), 4);
        assert_eq!(texts[0].ids, exhaustive_search().0);
        assert!(texts.windows(2).all(|pair| pair[0].score >= pair[1].score));
        let ids: std::collections::BTreeSet<_> = texts.iter().map(|text| &text.ids).collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn only_the_best_extensions_end_a_text() {
        // After "1" and "2": 1 3 (0.3), 1 1 (0.24), 2 3 (0.22), 2 2 (0.1). With two beams the third one is ignored, and the
        // search goes on until 1 1 3 (0.12) ends.
        let probabilities = [
            [0.0, 0.6, 0.4, 0.0],
            [0.0, 0.4, 0.1, 0.5],
            [0.0, 0.2, 0.25, 0.55],
        ];
        let mut chain = Chain {
            probabilities,
            ..Chain::new(2)
        };
        let texts = beam_search_all(&mut chain, 1, &config(2)).remove(0);
        let ids: Vec<Vec<u32>> = texts.into_iter().map(|text| text.ids).collect();
        assert_eq!(ids, [vec![1], vec![1, 1]]);
    }

    #[test]
    fn rows_are_reordered_with_their_beams() {
        let mut chain = Chain::new(6);
        let config = GenerationConfig {
            max_new_tokens: 3,
            eos: 99,
            ..config(3)
        };
        beam_search(&mut chain, 2, &config);
        for prefix in chain.prefixes {
            assert_eq!((prefix[0], prefix.len()), (0, 3));
        }
    }
}
