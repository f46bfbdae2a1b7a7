//! How evenly a dictionary's codes are used.

use burn::prelude::*;

use super::VisualDictionary;

/// Usage of the codes over a number of features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodebookUsage {
    /// Number of codes.
    pub codes: usize,
    /// Number of codes that were assigned to at least one feature.
    pub used: usize,
    /// Exponential of the entropy of the codes' relative frequencies, `1..=codes`: the number of evenly used codes that
    /// would have the same entropy. 0 without features.
    pub perplexity: f64,
}

impl CodebookUsage {
    /// Usage from the number of features of each code.
    pub fn from_counts(counts: &[u64]) -> Self {
        let total: u64 = counts.iter().sum();
        let frequency = |count: u64| count as f64 / total as f64;
        let used = counts.iter().filter(|&&count| count > 0);
        let entropy: f64 = used
            .clone()
            .map(|&count| -frequency(count) * frequency(count).ln())
            .sum();
        Self {
            codes: counts.len(),
            used: used.count(),
            perplexity: if total == 0 { 0.0 } else { entropy.exp() },
        }
    }

    /// Number of codes that were assigned to no feature.
    pub fn dead_codes(&self) -> usize {
        self.codes - self.used
    }
}

impl VisualDictionary {
    /// Number of codes replaced so far because of [`DictionaryConfig::dead_code_threshold`](super::DictionaryConfig).
    pub fn restarts(&self) -> u64 {
        let totals: Vec<f32> = self
            .running_totals
            .value_sync()
            .into_data()
            .iter()
            .collect();
        totals.get(1).map_or(0, |&count| count as u64)
    }

    /// Codebook `[codes, width]`, running counts `[codes, 1]` and running sums `[codes, width]`. Only
    /// [`UpdateRule::Released`](super::UpdateRule::Released) changes the last two.
    pub fn state(&self) -> [Tensor<2>; 3] {
        [
            self.codebook(),
            self.running_counts
                .value_sync()
                .without_autodiff()
                .unsqueeze_dim(1),
            self.running_sums.value_sync().without_autodiff(),
        ]
    }

    /// Number of codes.
    pub fn codes(&self) -> usize {
        self.running_codes.value().dims()[0]
    }
}
