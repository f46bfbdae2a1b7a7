//! BLEU-1 to BLEU-4 of a whole set of captions.

use super::ngram::{MAX_N, NgramTable, common};
use super::pair::{TokenizedPair, check_pairs};
use crate::EvalError;

/// Added to numerators and denominators, so that no division by zero occurs.
const NUMERATOR_EPSILON: f64 = 1e-15;
const DENOMINATOR_EPSILON: f64 = 1e-9;

/// Corpus BLEU-1 to BLEU-4, each in 0..=1, computed as by the COCO caption tool (Papineni et al., ACL 2002).
///
/// The count of an n-gram is clipped to its highest count in one reference. The brevity penalty uses
/// the reference length nearest to that of the caption, the shorter of two equally near ones. The only
/// smoothing is 1e-15 in numerators and 1e-9 in denominators.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn bleu(pairs: &[TokenizedPair]) -> Result<[f64; MAX_N], EvalError> {
    check_pairs("BLEU", pairs)?;
    let mut totals = Totals::default();
    for pair in pairs {
        totals.add(pair);
    }
    Ok(totals.score())
}

#[derive(Default)]
struct Totals {
    matched: [u64; MAX_N],
    total: [u64; MAX_N],
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
            let mut clipped = vec![0_u32; lens[n]];
            for reference in &references {
                for (ngram, count, reference_count) in common(&counts[n], &reference[n]) {
                    let clipped = &mut clipped[ngram as usize];
                    *clipped = (*clipped).max(count.min(reference_count));
                }
            }
            self.matched[n] += counts[n]
                .iter()
                .map(|&(ngram, _)| u64::from(clipped[ngram as usize]))
                .sum::<u64>();
            self.total[n] += pair.hypothesis.len().saturating_sub(n) as u64;
        }
        let length = pair.hypothesis.len();
        let nearest_length = pair
            .references
            .iter()
            .map(Vec::len)
            .min_by_key(|&l| (l.abs_diff(length), l));
        self.length += length;
        self.reference_length += nearest_length.unwrap_or(0);
    }

    fn score(&self) -> [f64; MAX_N] {
        let ratio = (self.length as f64 + NUMERATOR_EPSILON)
            / (self.reference_length as f64 + DENOMINATOR_EPSILON);
        let brevity_penalty = if ratio < 1.0 {
            (1.0 - 1.0 / ratio).exp()
        } else {
            1.0
        };
        let mut product = 1.0;
        std::array::from_fn(|n| {
            product *= (self.matched[n] as f64 + NUMERATOR_EPSILON)
                / (self.total[n] as f64 + DENOMINATOR_EPSILON);
            product.powf(1.0 / (n + 1) as f64) * brevity_penalty
        })
    }
}
