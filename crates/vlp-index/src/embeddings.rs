//! Rows of 16-bit floats, and the greatest dot products with them.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Rows that are converted to `f32` at a time: with a few hundred columns they stay in the cache.
const BLOCK: usize = 64;
/// Sums of a dot product that are independent of each other: enough for two registers of the widest vectors.
const LANES: usize = 32;

/// A row and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Number of the row.
    pub index: usize,
    /// Dot product of the row and the query.
    pub score: f32,
}

/// Embeddings, row after row.
///
/// Of rows and queries of Euclidean length 1 a score differs from the exact dot product by less than 1e-3: rounding to 16 bits
/// changes a number by at most 2^-11 of it, so a dot product by at most 2^-11 of the sum of the products' magnitudes, which is
/// at most 1. Numbers below 2^-14 change by up to 2^-25, and the sum of `f32` products by far less.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    dim: usize,
    values: Vec<f16>,
}

impl Embeddings {
    /// No rows, of `dim` numbers each.
    pub(crate) fn new(dim: usize) -> Self {
        Self {
            dim,
            values: vec![],
        }
    }

    pub(crate) fn push(&mut self, row: &[f16]) {
        self.values.extend_from_slice(row);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row; `None` if there are fewer.
    pub fn row(&self, index: usize) -> Option<Vec<f32>> {
        let start = index.checked_mul(self.dim)?;
        let row = self.values.get(start..start + self.dim)?;
        Some(row.to_f32_vec())
    }

    /// Dot products of all rows with a query, which is as long as a row. Their bits depend on the row and the query alone.
    pub fn scores(&self, query: &[f32]) -> Vec<f32> {
        let mut scores = Vec::with_capacity(self.len());
        let mut buffer = vec![0.0; BLOCK * self.dim];
        for block in self.values.chunks((BLOCK * self.dim).max(1)) {
            let rows = &mut buffer[..block.len()];
            block.convert_to_f32_slice(rows);
            scores.extend(rows.chunks(self.dim).map(|row| dot(row, query)));
        }
        scores
    }

    /// The `count` rows with the greatest dot products with a query, the greatest first, and of equal ones the first row first.
    /// Exact: every row is compared.
    pub fn top(&self, query: &[f32], count: usize) -> Vec<Scored> {
        let scores = self.scores(query);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        let compare = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
        if count < order.len() {
            if count > 0 {
                order.select_nth_unstable_by(count - 1, compare);
            }
            order.truncate(count);
        }
        order.sort_unstable_by(compare);
        let scored = order.into_iter().map(|index| Scored {
            index,
            score: scores[index],
        });
        scored.collect()
    }
}

/// A sum in an order that depends on the length alone, and lets the compiler use vectors of any width.
fn dot(row: &[f32], query: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (rows, row_rest) = row.as_chunks::<LANES>();
    let (queries, query_rest) = query.as_chunks::<LANES>();
    for (row, query) in rows.iter().zip(queries) {
        for ((sum, a), b) in sums.iter_mut().zip(row).zip(query) {
            *sum += a * b;
        }
    }
    let rest = row_rest.iter().zip(query_rest).map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Numbers between -1 and 1 that follow from `seed` alone, of Euclidean length 1.
    fn unit_vector(seed: u64, dim: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        let numbers = (0..dim).map(|_| {
            state = state
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        });
        let numbers: Vec<f32> = numbers.collect();
        let norm = numbers
            .iter()
            .map(|value| value * value)
            .sum::<f32>()
            .sqrt();
        numbers.iter().map(|value| value / norm).collect()
    }

    fn embeddings(dim: usize, rows: &[Vec<f32>]) -> Embeddings {
        let mut embeddings = Embeddings::new(dim);
        for row in rows {
            let row: Vec<f16> = row.iter().map(|&value| f16::from_f32(value)).collect();
            embeddings.push(&row);
        }
        embeddings
    }

    /// Rows, most of them between the sizes of blocks and vectors.
    fn rows(count: usize, dim: usize) -> Vec<Vec<f32>> {
        // Every fifth row is a copy of the one before: ties.
        let seed = |index: usize| (index - usize::from(index % 5 == 4)) as u64;
        (0..count)
            .map(|index| unit_vector(seed(index), dim))
            .collect()
    }

    proptest! {
        #[test]
        fn the_best_rows_are_those_of_a_full_sort(
            count in 0_usize..300, dim in 1_usize..80, top in 0_usize..320, seed in 0_u64..1000,
        ) {
            let embeddings = embeddings(dim, &rows(count, dim));
            prop_assert_eq!(embeddings.len(), count);
            let query = unit_vector(seed + 10_000, dim);
            // Each row alone, in f64.
            let exact = |index: usize| {
                let row = embeddings.row(index).unwrap();
                let products = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b));
                products.sum::<f64>()
            };
            let best = embeddings.top(&query, top);
            prop_assert_eq!(best.len(), top.min(count));
            let scores = embeddings.scores(&query);
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            for (place, scored) in best.iter().enumerate() {
                prop_assert_eq!(scored.index, order[place]);
                prop_assert_eq!(scored.score.to_bits(), scores[scored.index].to_bits());
                // 80 products of at most 1 in all, each rounded to 24 bits, and as many sums.
                prop_assert!((f64::from(scored.score) - exact(scored.index)).abs() < 1e-5);
            }
            // No row that is left out is better than the last one.
            if let Some(last) = best.last() {
                for &index in &order[best.len()..] {
                    prop_assert!(exact(index) < exact(last.index) + 2e-5);
                }
            }
        }

        #[test]
        fn rounding_changes_a_score_by_less_than_a_thousandth(dim in 1_usize..600, seed in 0_u64..1000) {
            let (row, query) = (unit_vector(seed, dim), unit_vector(seed + 5000, dim));
            let embeddings = embeddings(dim, std::slice::from_ref(&row));
            let exact: f64 = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let score = f64::from(embeddings.scores(&query)[0]);
            // 2^-11 of the sum of magnitudes, which is at most 1; sums of f32 add some units of 2^-24.
            prop_assert!((score - exact).abs() < 1.0 / 2048.0 + 1e-5, "{score} {exact}");
        }
    }

    #[test]
    fn a_score_does_not_depend_on_the_rows_around_it() {
        let (all, query) = (rows(150, 33), unit_vector(77, 33));
        let scores = embeddings(33, &all).scores(&query);
        for (row, score) in all.iter().zip(&scores) {
            let alone = embeddings(33, std::slice::from_ref(row));
            assert_eq!(alone.scores(&query)[0].to_bits(), score.to_bits());
        }
    }
}
