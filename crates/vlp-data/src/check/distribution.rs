use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Maximum number of bins of a histogram.
const MAX_BINS: usize = 12;

/// Mean, percentiles and histogram of numbers; exact for any count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Number of values.
    pub count: u64,
    /// Their mean; 0 without values.
    pub mean: f64,
    /// For each of [`Distribution::PERCENTS`] the percentile by nearest rank, 0 being the minimum. Empty without values.
    pub percentiles: Vec<f64>,
    /// A histogram of at most 12 bins of equal width; one bin per value for few integers.
    pub bins: Vec<HistogramBin>,
}

/// A histogram bin: values in `from..to`, in the last bin also `to`. A bin of a single integer has `from == to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HistogramBin {
    /// Lower bound.
    pub from: f64,
    /// Upper bound.
    pub to: f64,
    /// Number of values.
    pub count: u64,
}

impl Distribution {
    /// The percents of [`percentiles`](Self::percentiles).
    pub const PERCENTS: [u32; 7] = [0, 5, 25, 50, 75, 95, 100];

    /// Of integers with their number of occurrences.
    pub(super) fn of_integers(counts: &BTreeMap<u64, u64>) -> Self {
        let values = counts.iter().map(|(&value, &count)| (value as f64, count));
        let mut distribution = Self::of_sorted(&values.collect::<Vec<_>>());
        let range = counts.first_key_value().zip(counts.last_key_value());
        if let Some(((&min, _), (&max, _))) = range {
            // Bins of an integer width, so that each covers equally many integers.
            let width = (max - min + 1).div_ceil(MAX_BINS as u64);
            let bins = (max - min + 1).div_ceil(width);
            distribution.bins = (0..bins)
                .map(|bin| {
                    let from = min + bin * width;
                    let inside = counts.range(from..from + width);
                    HistogramBin {
                        from: from as f64,
                        to: if width == 1 { from } else { from + width } as f64,
                        count: inside.map(|(_, count)| count).sum(),
                    }
                })
                .collect();
        }
        distribution
    }

    /// Of finite numbers in ascending order with their number of occurrences.
    pub(super) fn of_sorted(values: &[(f64, u64)]) -> Self {
        let count: u64 = values.iter().map(|(_, count)| count).sum();
        let (Some(&(min, _)), Some(&(max, _))) = (values.first(), values.last()) else {
            return Self::default();
        };
        let sum: f64 = values
            .iter()
            .map(|&(value, count)| value * count as f64)
            .sum();
        let percentile = |percent: u32| {
            let rank = (u128::from(count) * u128::from(percent))
                .div_ceil(100)
                .max(1) as u64;
            let mut cumulative = 0;
            let entry = values.iter().find(|(_, count)| {
                cumulative += count;
                cumulative >= rank
            });
            entry.map_or(max, |(value, _)| *value)
        };
        let width = (max - min) / MAX_BINS as f64;
        let len = if width > 0.0 { MAX_BINS } else { 1 };
        let mut bins: Vec<HistogramBin> = (0..len)
            .map(|bin| HistogramBin {
                from: min + width * bin as f64,
                to: if bin + 1 == len {
                    max
                } else {
                    min + width * (bin + 1) as f64
                },
                count: 0,
            })
            .collect();
        for &(value, count) in values {
            let bin = bins.partition_point(|bin| bin.from <= value).max(1) - 1;
            bins[bin].count += count;
        }
        Self {
            count,
            mean: sum / count as f64,
            percentiles: Self::PERCENTS.map(percentile).to_vec(),
            bins,
        }
    }

    /// The median; `None` without values.
    pub fn median(&self) -> Option<f64> {
        self.percentiles.get(3).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let counts = BTreeMap::from([(1, 1), (2, 8), (10, 1)]);
        let distribution = Distribution::of_integers(&counts);
        assert_eq!(
            distribution.percentiles,
            [1.0, 1.0, 2.0, 2.0, 2.0, 10.0, 10.0]
        );
        assert_eq!(
            (distribution.count, distribution.mean, distribution.median()),
            (10, 2.7, Some(2.0))
        );
        // Ten integers: one bin each.
        assert_eq!(distribution.bins.len(), 10);
        assert_eq!(
            distribution.bins[9],
            HistogramBin {
                from: 10.0,
                to: 10.0,
                count: 1
            }
        );
        assert_eq!(
            Distribution::of_integers(&BTreeMap::new()),
            Distribution::default()
        );
        assert_eq!(
            Distribution::of_sorted(&[(1.5, 4)]).bins,
            [HistogramBin {
                from: 1.5,
                to: 1.5,
                count: 4
            }]
        );
    }

    proptest! {
        #[test]
        fn bins_cover_every_value_and_percentiles_are_sorted(numbers in prop::collection::vec(0u64..5000, 1..200)) {
            let mut counts = BTreeMap::new();
            for &number in &numbers {
                *counts.entry(number).or_insert(0) += 1;
            }
            let values: Vec<_> = counts.iter().map(|(&v, &n)| (v as f64 / 7.0, n)).collect();
            for distribution in [Distribution::of_integers(&counts), Distribution::of_sorted(&values)] {
                prop_assert_eq!(distribution.count, numbers.len() as u64);
                prop_assert_eq!(distribution.bins.iter().map(|bin| bin.count).sum::<u64>(), distribution.count);
                prop_assert!(distribution.bins.len() <= MAX_BINS && distribution.bins.windows(2).all(|two| two[0].from < two[1].from));
                prop_assert!(distribution.percentiles.is_sorted());
            }
            // The median of the sorted values.
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            let median = sorted[(sorted.len().div_ceil(2)).max(1) - 1];
            prop_assert_eq!(Distribution::of_integers(&counts).median(), Some(median as f64));
        }
    }
}
