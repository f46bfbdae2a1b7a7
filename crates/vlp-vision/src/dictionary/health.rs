//! Is the dictionary in use?

use burn::prelude::*;

use super::VisualDictionary;

/// How evenly codes are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// Rows of the table.
    pub codes: usize,
    /// Rows that any feature took.
    pub used: usize,
    /// Exponential of the entropy of the codes' shares, 1 to `codes`: that many codes, evenly used, would be as
    /// uncertain. 0 without any feature.
    pub perplexity: f64,
}

impl Health {
    /// Of how many features took each code.
    pub fn of(counts: &[u64]) -> Self {
        let total: u64 = counts.iter().sum();
        let share = |count: u64| count as f64 / total as f64;
        let used = counts.iter().filter(|&&count| count > 0);
        let entropy: f64 = used.clone().map(|&c| -share(c) * share(c).ln()).sum();
        Self {
            codes: counts.len(),
            used: used.count(),
            perplexity: if total == 0 { 0.0 } else { entropy.exp() },
        }
    }

    /// Rows that no feature took.
    pub fn dead(&self) -> usize {
        self.codes - self.used
    }
}

impl VisualDictionary {
    /// Rows restarted in training so far.
    pub fn restarts(&self) -> u64 {
        let totals: Vec<f32> = self
            .running_totals
            .value_sync()
            .into_data()
            .iter()
            .collect();
        totals.get(1).map_or(0, |&count| count as u64)
    }

    /// Table `[codes, width]`, running counts `[codes, 1]` and running sums `[codes, width]`; the last two move by the
    /// released rule alone.
    pub fn state(&self) -> [Tensor<2>; 3] {
        [
            self.table(),
            self.running_counts
                .value_sync()
                .without_autodiff()
                .unsqueeze_dim(1),
            self.running_sums.value_sync().without_autodiff(),
        ]
    }

    /// Number of rows.
    pub fn codes(&self) -> usize {
        self.running_codes.value().dims()[0]
    }
}
