//! CIDEr-D: cosine similarity of TF-IDF weighted n-grams (Vedantam et al., CVPR 2015).

use super::ngram::{MAX_N, NgramCounts, NgramTable, common};
use super::pair::{TokenizedPair, check_pairs};
use crate::EvalError;

/// Standard deviation, in tokens, of the Gaussian length penalty.
const SIGMA: f64 = 6.0;

/// Mean CIDEr-D over the pairs, in 0..=10, with document frequencies from their references.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn cider_d(pairs: &[TokenizedPair]) -> Result<f64, EvalError> {
    let scores = pair_cider_d(pairs)?;
    Ok(scores.iter().sum::<f64>() / scores.len() as f64)
}

/// CIDEr-D of each pair, in 0..=10, with document frequencies from the references of all pairs.
///
/// # Errors
/// As [`cider_d`].
pub fn pair_cider_d(pairs: &[TokenizedPair]) -> Result<Vec<f64>, EvalError> {
    check_pairs("CIDEr-D", pairs)?;
    let mut table = NgramTable::default();
    let references: Vec<Vec<NgramCounts>> = pairs
        .iter()
        .map(|p| p.references.iter().map(|r| table.count(r)).collect())
        .collect();
    let weights = IdfWeights::new(table.lens(), &references);
    let scores = pairs.iter().zip(&references).map(|(pair, references)| {
        let counts = table.count(&pair.hypothesis);
        weights.cider_d(&counts, references)
    });
    Ok(scores.collect())
}

/// Inverse document frequencies; the references of one image are one document.
#[derive(Clone)]
pub(super) struct IdfWeights {
    /// ln(images) - ln(images with the n-gram), by length and n-gram.
    weights: [Vec<f64>; MAX_N],
    /// Weight of an n-gram that is in no reference: as if it were in one image.
    unseen: f64,
}

impl IdfWeights {
    pub(super) fn new(lens: [usize; MAX_N], references: &[Vec<NgramCounts>]) -> Self {
        let unseen = (references.len() as f64).ln();
        let weights = std::array::from_fn(|n| {
            // Number of images with the n-gram, and the last of them, counted from 1.
            let mut frequencies = vec![(0_u32, 0_usize); lens[n]];
            for (image, references) in references.iter().enumerate() {
                for &(ngram, _) in references.iter().flat_map(|r| &r[n]) {
                    let (images, last) = &mut frequencies[ngram as usize];
                    *images += u32::from(*last != image + 1);
                    *last = image + 1;
                }
            }
            frequencies
                .iter()
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

    /// CIDEr-D of a caption in 0..=10; there must be a reference.
    pub(super) fn cider_d(&self, caption: &NgramCounts, references: &[NgramCounts]) -> f64 {
        let caption = self.weighted(caption);
        let sum: f64 = references
            .iter()
            .map(|reference| self.similarity(&caption, &self.weighted(reference)))
            .sum();
        sum / MAX_N as f64 / references.len() as f64 * 10.0
    }

    fn weighted<'a>(&self, counts: &'a NgramCounts) -> WeightedCounts<'a> {
        let norms = std::array::from_fn(|n| {
            let square =
                |&(ngram, count): &(u32, u32)| (f64::from(count) * self.weight(n, ngram)).powi(2);
            counts[n].iter().map(square).sum::<f64>().sqrt()
        });
        let bigrams = counts[1].iter().map(|&(_, count)| count).sum::<u32>();
        WeightedCounts {
            counts,
            norms,
            length: f64::from(bigrams),
        }
    }

    /// Sum over n of the clipped cosine similarities of two captions, times the length penalty.
    fn similarity(&self, caption: &WeightedCounts<'_>, reference: &WeightedCounts<'_>) -> f64 {
        let difference = caption.length - reference.length;
        let penalty = (-difference * difference / (2.0 * SIGMA * SIGMA)).exp();
        (0..MAX_N)
            .map(|n| {
                let norms = caption.norms[n] * reference.norms[n];
                let dot_product: f64 = common(&caption.counts[n], &reference.counts[n])
                    .map(|(ngram, count, reference_count)| {
                        let weight = self.weight(n, ngram);
                        f64::from(count.min(reference_count))
                            * weight
                            * f64::from(reference_count)
                            * weight
                    })
                    .sum();
                if norms > 0.0 {
                    dot_product / norms * penalty
                } else {
                    0.0
                }
            })
            .sum()
    }
}

/// The n-grams of a caption with the norm of the weighted counts of each length.
struct WeightedCounts<'a> {
    counts: &'a NgramCounts,
    norms: [f64; MAX_N],
    /// Number of 2-grams, which the official tool uses as length.
    length: f64,
}
