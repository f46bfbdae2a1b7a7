use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most bars of a histogram.
const BINS: usize = 12;

/// How numbers are spread: exact, whatever their count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many numbers there are.
    pub count: u64,
    /// Their mean; 0 where there are none.
    pub mean: f64,
    /// Percentiles: for each of [`Spread::PERCENTS`] the least number that at least so many per cent do not exceed (0 is
    /// the least, 100 the greatest number). Empty where there are none.
    pub percentiles: Vec<f64>,
    /// A histogram of at most 12 bars of equal width; of few whole numbers one bar each.
    pub bins: Vec<Bin>,
}

/// One bar: numbers of at least `from` and below `to`, in the last bar also `to`. A bar of one whole number has both equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lower end.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// Numbers in it.
    pub count: u64,
}

impl Spread {
    /// The percentiles given.
    pub const PERCENTS: [u32; 7] = [0, 5, 25, 50, 75, 95, 100];

    /// Of whole numbers with how often each occurs.
    pub(super) fn whole(counts: &BTreeMap<u64, u64>) -> Self {
        let values: Vec<(f64, u64)> = counts.iter().map(|(&v, &n)| (v as f64, n)).collect();
        let mut spread = Self::of(&values);
        let ends = values.first().zip(values.last());
        if let Some((least, most)) = ends.map(|(a, b)| (a.0 as u64, b.0 as u64)) {
            // Bars of whole widths, so that each has as many whole numbers as the others.
            let width = (most - least + 1).div_ceil(BINS as u64);
            let bars = (most - least + 1).div_ceil(width);
            spread.bins = (0..bars)
                .map(|bar| {
                    let from = least + bar * width;
                    let to = from + width - 1;
                    let inside = counts.range(from..=to).map(|(_, n)| n);
                    Bin {
                        from: from as f64,
                        to: if width == 1 { from } else { from + width } as f64,
                        count: inside.sum(),
                    }
                })
                .collect();
        }
        spread
    }

    /// Of finite numbers in ascending order, with how often each occurs.
    pub(super) fn of(values: &[(f64, u64)]) -> Self {
        let count: u64 = values.iter().map(|(_, n)| n).sum();
        let (Some(&(least, _)), Some(&(most, _))) = (values.first(), values.last()) else {
            return Self::default();
        };
        let sum: f64 = values.iter().map(|&(value, n)| value * n as f64).sum();
        let percentile = |percent: u32| {
            let rank = (u128::from(count) * u128::from(percent))
                .div_ceil(100)
                .max(1) as u64;
            let mut below = 0;
            let found = values.iter().find(|(_, n)| {
                below += n;
                below >= rank
            });
            found.map_or(most, |(value, _)| *value)
        };
        let width = (most - least) / BINS as f64;
        let bars = if width > 0.0 { BINS } else { 1 };
        let mut bins: Vec<Bin> = (0..bars)
            .map(|bar| Bin {
                from: least + width * bar as f64,
                to: if bar + 1 == bars {
                    most
                } else {
                    least + width * (bar + 1) as f64
                },
                count: 0,
            })
            .collect();
        for &(value, n) in values {
            let at = bins.partition_point(|bin| bin.from <= value).max(1) - 1;
            bins[at].count += n;
        }
        Self {
            count,
            mean: sum / count as f64,
            percentiles: Self::PERCENTS.map(percentile).to_vec(),
            bins,
        }
    }

    /// The median; `None` where there are no numbers.
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
        let spread = Spread::whole(&counts);
        assert_eq!(spread.percentiles, [1.0, 1.0, 2.0, 2.0, 2.0, 10.0, 10.0]);
        assert_eq!(
            (spread.count, spread.mean, spread.median()),
            (10, 2.7, Some(2.0))
        );
        // Ten whole numbers: a bar each.
        assert_eq!(spread.bins.len(), 10);
        assert_eq!(
            spread.bins[9],
            Bin {
                from: 10.0,
                to: 10.0,
                count: 1
            }
        );
        assert_eq!(Spread::whole(&BTreeMap::new()), Spread::default());
        assert_eq!(
            Spread::of(&[(1.5, 4)]).bins,
            [Bin {
                from: 1.5,
                to: 1.5,
                count: 4
            }]
        );
    }

    proptest! {
        #[test]
        fn every_number_is_in_one_bar(numbers in prop::collection::vec(0u64..5000, 1..200)) {
            let mut counts = BTreeMap::new();
            for &number in &numbers {
                *counts.entry(number).or_insert(0) += 1;
            }
            let values: Vec<_> = counts.iter().map(|(&v, &n)| (v as f64 / 7.0, n)).collect();
            for spread in [Spread::whole(&counts), Spread::of(&values)] {
                prop_assert_eq!(spread.count, numbers.len() as u64);
                prop_assert_eq!(spread.bins.iter().map(|bin| bin.count).sum::<u64>(), spread.count);
                prop_assert!(spread.bins.len() <= BINS && spread.bins.windows(2).all(|two| two[0].from < two[1].from));
                prop_assert!(spread.percentiles.is_sorted());
            }
            // Against sorting.
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            let median = sorted[(sorted.len().div_ceil(2)).max(1) - 1];
            prop_assert_eq!(Spread::whole(&counts).median(), Some(median as f64));
        }
    }
}
