//! BLEU-1 to BLEU-4 of a whole set of captions.

use super::ngram::{MAX_N, NgramTable, shared};
use super::{TokenizedPair, check};
use crate::EvalError;

/// Keep a set without matches, or without long enough captions, from dividing by zero.
const TINY: f64 = 1e-15;
const SMALL: f64 = 1e-9;

/// Corpus BLEU-1 to BLEU-4, each in 0..=1, as the COCO caption tool computes it.
///
/// The count of an n-gram is clipped to its highest count in one reference. Brevity is judged by
/// the reference length nearest to each caption's, the shorter of two equally near. The only
/// smoothing is a term of 1e-15 over 1e-9.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn bleu(pairs: &[TokenizedPair]) -> Result<[f64; MAX_N], EvalError> {
    bleu_ticking(pairs, &mut || ())
}

/// As [`bleu`], with a call of `tick` after each pair.
pub(super) fn bleu_ticking(
    pairs: &[TokenizedPair],
    tick: &mut dyn FnMut(),
) -> Result<[f64; MAX_N], EvalError> {
    check("BLEU", pairs)?;
    let mut totals = Totals::default();
    for pair in pairs {
        totals.add(pair);
        tick();
    }
    Ok(totals.score())
}

#[derive(Default)]
struct Totals {
    matched: [u64; MAX_N],
    offered: [u64; MAX_N],
    length: usize,
    reference_length: usize,
}

impl Totals {
    fn add(&mut self, pair: &TokenizedPair) {
        let mut table = NgramTable::default();
        let counts = table.count(&pair.hypothesis);
        let references: Vec<_> = pair.references.iter().map(|r| table.count(r)).collect();
        let lens = table.lens();
        for n in 0..MAX_N {
            let mut best = vec![0_u32; lens[n]];
            for reference in &references {
                for (ngram, ours, theirs) in shared(&counts[n], &reference[n]) {
                    let best = &mut best[ngram as usize];
                    *best = (*best).max(ours.min(theirs));
                }
            }
            self.matched[n] += counts[n]
                .iter()
                .map(|&(ngram, _)| u64::from(best[ngram as usize]))
                .sum::<u64>();
            self.offered[n] += pair.hypothesis.len().saturating_sub(n) as u64;
        }
        let length = pair.hypothesis.len();
        let nearest = pair
            .references
            .iter()
            .map(Vec::len)
            .min_by_key(|&l| (l.abs_diff(length), l));
        self.length += length;
        self.reference_length += nearest.unwrap_or(0);
    }

    fn score(&self) -> [f64; MAX_N] {
        let ratio = (self.length as f64 + TINY) / (self.reference_length as f64 + SMALL);
        let brevity = if ratio < 1.0 {
            (1.0 - 1.0 / ratio).exp()
        } else {
            1.0
        };
        let mut product = 1.0;
        std::array::from_fn(|n| {
            product *= (self.matched[n] as f64 + TINY) / (self.offered[n] as f64 + SMALL);
            product.powf(1.0 / (n + 1) as f64) * brevity
        })
    }
}
