//! Exact search in embeddings that were not read from a file.

use proptest::prelude::*;
use vlp_index::{Embeddings, IndexError};

use crate::support::unit_vector;

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
        let embeddings = Embeddings::from_rows(dim, rows(count, dim)).unwrap();
        prop_assert_eq!(embeddings.len(), count);
        let query = unit_vector(seed + 10_000, dim);
        // Each row alone, in f64.
        let exact = |index: usize| {
            let row = embeddings.row(index).unwrap();
            let products = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b));
            products.sum::<f64>()
        };
        let best = embeddings.top(&query, top).unwrap();
        prop_assert_eq!(best.len(), top.min(count));
        let scores = embeddings.scores(&query).unwrap();
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
        let embeddings = Embeddings::from_rows(dim, [&row]).unwrap();
        let exact: f64 = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let score = f64::from(embeddings.scores(&query).unwrap()[0]);
        // 2^-11 of the sum of magnitudes, which is at most 1; sums of f32 add some units of 2^-24.
        prop_assert!((score - exact).abs() < 1.0 / 2048.0 + 1e-5, "{score} {exact}");
    }
}

#[test]
fn a_score_does_not_depend_on_the_rows_around_it() {
    let (all, query) = (rows(150, 33), unit_vector(77, 33));
    let scores = Embeddings::from_rows(33, &all).unwrap();
    let scores = scores.scores(&query).unwrap();
    for (row, score) in all.iter().zip(&scores) {
        let alone = Embeddings::from_rows(33, [row]).unwrap();
        assert_eq!(alone.scores(&query).unwrap()[0].to_bits(), score.to_bits());
    }
}

#[test]
fn rows_and_queries_of_another_width_are_refused() {
    let embeddings = Embeddings::from_rows(8, rows(3, 8)).unwrap();
    assert_eq!((embeddings.dim(), embeddings.len()), (8, 3));
    assert_eq!(
        (embeddings.row(3), embeddings.row(usize::MAX)),
        (None, None)
    );
    for actual in [0, 7, 9] {
        let query = vec![0.5; actual];
        let errors = [
            embeddings.scores(&query).unwrap_err(),
            embeddings.top(&query, 1).unwrap_err(),
            Embeddings::from_rows(8, [&query]).unwrap_err(),
        ];
        for error in errors {
            assert!(
                matches!(error, IndexError::Width { expected: 8, actual: found } if found == actual),
                "{error}"
            );
        }
    }
    let error = embeddings.scores(&[0.5; 9]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "an embedding of 9 numbers; those of the index have 8"
    );
}
