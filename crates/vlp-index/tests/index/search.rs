//! Search is exact, and 16-bit floats change scores as little as is said.

use proptest::prelude::*;
use vlp_index::{Embeddings, Index};

use crate::support::{DIM, unit_vector, write};

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
        let mut embeddings = Embeddings::new(dim);
        embeddings.extend_from_f32(&rows(count, dim).concat());
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
        let mut embeddings = Embeddings::new(dim);
        embeddings.extend_from_f32(&row);
        let exact: f64 = row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let score = f64::from(embeddings.scores(&query)[0]);
        // 2^-11 of the sum of magnitudes, which is at most 1; sums of f32 add some units of 2^-24.
        prop_assert!((score - exact).abs() < 1.0 / 2048.0 + 1e-5, "{score} {exact}");
    }
}

#[test]
fn a_score_does_not_depend_on_the_rows_around_it() {
    let (all, query) = (rows(150, 33), unit_vector(77, 33));
    let mut embeddings = Embeddings::new(33);
    embeddings.extend_from_f32(&all.concat());
    let scores = embeddings.scores(&query);
    for (row, score) in all.iter().zip(&scores) {
        let mut alone = Embeddings::new(33);
        alone.extend_from_f32(row);
        assert_eq!(alone.scores(&query)[0].to_bits(), score.to_bits());
    }
}

#[test]
fn images_and_texts_are_those_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path, 10, 9);
    let index = Index::open(&path).unwrap();
    assert_eq!(index.header().samples, 10);
    assert_eq!(index.skipped(), ["sample 3 is broken"]);
    let names: Vec<&str> = index
        .images()
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    assert_eq!(names.len(), 9);
    assert_eq!((names[3], index.images()[3].key), ("4.png", 1004));
    // A text of images of several segments is one.
    let texts = index.texts().iter();
    let common: Vec<_> = texts.filter(|text| text.text == "common").collect();
    assert_eq!(common.len(), 1);
    assert_eq!(common[0].images, [0, 3, 7]);
    assert_eq!(index.texts_of(7).collect::<Vec<_>>(), ["common"]);
    assert_eq!(index.texts_of(9).count(), 0);
    // Each image is the best one for its own embedding.
    for (number, image) in index.images().iter().enumerate() {
        let best = index
            .image_embeddings()
            .top(&unit_vector(image.sample as u64, DIM), 1)[0];
        assert_eq!(best.index, number);
        assert!((best.score - 1.0).abs() < 1e-3);
        let thumbnail = index.thumbnail(number).unwrap().unwrap();
        assert_eq!(thumbnail, vec![image.sample as u8; image.sample + 1]);
    }
    assert_eq!(index.thumbnail(9).unwrap(), None);
    let best = index.text_embeddings().top(&unit_vector(999, DIM), 1)[0];
    assert_eq!(index.texts()[best.index].text.as_str(), "common");
}
