//! Rows of 16-bit floats, and the greatest dot products with them.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::error::IndexError;

/// Rows that are converted to `f32` at a time: with a few hundred columns they stay in the cache.
const BLOCK: usize = 64;
/// Sums of a dot product that are independent of each other: enough for two registers of the widest vectors.
const LANES: usize = 32;

/// A row and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Index of the row.
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

    /// Rows of `dim` numbers each, rounded to 16 bits.
    ///
    /// # Errors
    /// [`IndexError::Width`] for a row of another length.
    pub fn from_rows<R: AsRef<[f32]>>(
        dim: usize,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Self, IndexError> {
        let mut embeddings = Self::new(dim);
        for row in rows {
            let row = row.as_ref();
            embeddings.check_width(row)?;
            let rounded = row.iter().map(|&value| f16::from_f32(value));
            embeddings.values.extend(rounded);
        }
        Ok(embeddings)
    }

    pub(crate) fn push(&mut self, row: &[f16]) {
        self.values.extend_from_slice(row);
    }

    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `index`; `None` if out of range.
    pub fn row(&self, index: usize) -> Option<Vec<f32>> {
        let start = index.checked_mul(self.dim)?;
        let row = self.values.get(start..start + self.dim)?;
        Some(row.to_f32_vec())
    }

    /// Dot products of all rows with a query. The bits of each depend on its row and the query alone.
    ///
    /// # Errors
    /// [`IndexError::Width`] if the query is not as long as a row.
    pub fn scores(&self, query: &[f32]) -> Result<Vec<f32>, IndexError> {
        self.check_width(query)?;
        let mut scores = Vec::with_capacity(self.len());
        let mut buffer = vec![0.0; BLOCK * self.dim];
        for block in self.values.chunks((BLOCK * self.dim).max(1)) {
            let rows = &mut buffer[..block.len()];
            block.convert_to_f32_slice(rows);
            scores.extend(rows.chunks(self.dim).map(|row| dot(row, query)));
        }
        Ok(scores)
    }

    /// The `count` rows with the greatest dot products with a query, the greatest first, and of equal ones the first row first.
    /// Exact: every row is compared.
    ///
    /// # Errors
    /// As [`Self::scores`].
    pub fn top(&self, query: &[f32], count: usize) -> Result<Vec<Scored>, IndexError> {
        let scores = self.scores(query)?;
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
        Ok(scored.collect())
    }

    fn check_width(&self, numbers: &[f32]) -> Result<(), IndexError> {
        match numbers.len() == self.dim {
            true => Ok(()),
            false => Err(IndexError::Width {
                expected: self.dim,
                actual: numbers.len(),
            }),
        }
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
