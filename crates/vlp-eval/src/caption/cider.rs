//! CIDEr-D: n-gram cosine similarity, weighted by rarity (Vedantam et al., CVPR 2015).

use super::ngram::{MAX_N, NgramCounts, NgramTable, shared};
use super::{TokenizedPair, check};
use crate::EvalError;

/// Width, in tokens, of the penalty on a difference in length.
const SIGMA: f64 = 6.0;

/// Mean CIDEr-D over the pairs, in 0..=10, with the rarity of n-grams taken from their references.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn cider_d(pairs: &[TokenizedPair]) -> Result<f64, EvalError> {
    cider_d_ticking(pairs, &mut || ())
}

/// As [`cider_d`], with two calls of `tick` for each pair.
pub(super) fn cider_d_ticking(
    pairs: &[TokenizedPair],
    tick: &mut dyn FnMut(),
) -> Result<f64, EvalError> {
    let scores = pair_cider_d_ticking(pairs, tick)?;
    Ok(scores.iter().sum::<f64>() / scores.len() as f64)
}

/// CIDEr-D of each pair, in 0..=10, with the rarity of n-grams taken from all their references.
///
/// # Errors
/// As [`cider_d`].
pub fn pair_cider_d(pairs: &[TokenizedPair]) -> Result<Vec<f64>, EvalError> {
    pair_cider_d_ticking(pairs, &mut || ())
}

/// As [`pair_cider_d`]; `progress` hears how many of how many steps are done, two for each pair.
///
/// # Errors
/// As [`cider_d`].
pub fn pair_cider_d_with_progress(
    pairs: &[TokenizedPair],
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<f64>, EvalError> {
    let (mut done, total) = (0, CIDER_TICKS * pairs.len());
    pair_cider_d_ticking(pairs, &mut || {
        done += 1;
        progress(done, total);
    })
}

/// Steps a pair: its references are counted, then it is scored.
pub(super) const CIDER_TICKS: usize = 2;

fn pair_cider_d_ticking(
    pairs: &[TokenizedPair],
    tick: &mut dyn FnMut(),
) -> Result<Vec<f64>, EvalError> {
    check("CIDEr-D", pairs)?;
    let mut table = NgramTable::default();
    let references: Vec<Vec<NgramCounts>> = pairs
        .iter()
        .map(|p| {
            tick();
            p.references.iter().map(|r| table.count(r)).collect()
        })
        .collect();
    let rarity = Rarity::new(table.lens(), &references);
    let scores = pairs.iter().zip(&references).map(|(pair, references)| {
        let counts = table.count(&pair.hypothesis);
        let caption = rarity.weigh(&counts);
        let sum: f64 = references
            .iter()
            .map(|r| similarity(&rarity, &caption, &rarity.weigh(r)))
            .sum();
        tick();
        sum / MAX_N as f64 / references.len() as f64 * 10.0
    });
    Ok(scores.collect())
}

/// Inverse document frequency: an image's references together are one document.
#[derive(Clone)]
pub(super) struct Rarity {
    /// By length and n-gram: ln(images) - ln(images that hold it).
    weights: [Vec<f64>; MAX_N],
    /// Of an n-gram that no reference holds: as if one image held it.
    unseen: f64,
}

impl Rarity {
    pub(super) fn new(lens: [usize; MAX_N], references: &[Vec<NgramCounts>]) -> Self {
        let unseen = (references.len() as f64).ln();
        let weights = std::array::from_fn(|n| {
            // Images that hold the n-gram, and the last of them seen, counted from 1.
            let mut held = vec![(0_u32, 0_usize); lens[n]];
            for (image, references) in references.iter().enumerate() {
                for &(ngram, _) in references.iter().flat_map(|r| &r[n]) {
                    let (images, last) = &mut held[ngram as usize];
                    *images += u32::from(*last != image + 1);
                    *last = image + 1;
                }
            }
            held.iter()
                .map(|&(images, _)| unseen - f64::from(images.max(1)).ln())
                .collect()
        });
        Self { weights, unseen }
    }

    fn weight(&self, n: usize, ngram: u32) -> f64 {
        self.weights[n]
            .get(ngram as usize)
            .copied()
            .unwrap_or(self.unseen)
    }

    pub(super) fn weigh<'a>(&self, counts: &'a NgramCounts) -> Weighed<'a> {
        let norms = std::array::from_fn(|n| {
            let square =
                |&(ngram, count): &(u32, u32)| (f64::from(count) * self.weight(n, ngram)).powi(2);
            counts[n].iter().map(square).sum::<f64>().sqrt()
        });
        let bigrams = counts[1].iter().map(|&(_, count)| count).sum::<u32>();
        Weighed {
            counts,
            norms,
            length: f64::from(bigrams),
        }
    }
}

/// A caption's n-grams with the norm of each length's weighted counts.
pub(super) struct Weighed<'a> {
    counts: &'a NgramCounts,
    norms: [f64; MAX_N],
    /// Counted in 2-grams, as the official tool does.
    length: f64,
}

/// Sum over n of the clipped cosine of two captions, lowered by their difference in length.
pub(super) fn similarity(rarity: &Rarity, caption: &Weighed<'_>, reference: &Weighed<'_>) -> f64 {
    let difference = caption.length - reference.length;
    let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
    (0..MAX_N)
        .map(|n| {
            let norms = caption.norms[n] * reference.norms[n];
            let product: f64 = shared(&caption.counts[n], &reference.counts[n])
                .map(|(ngram, ours, theirs)| {
                    let weight = rarity.weight(n, ngram);
                    f64::from(ours.min(theirs)) * weight * f64::from(theirs) * weight
                })
                .sum();
            if norms > 0.0 {
                product / norms * penalty
            } else {
                0.0
            }
        })
        .sum()
}
