//! Retrieval metrics against plain sorting (`scripts/metrics/retrieval_fixture.py`).

use proptest::prelude::*;
use serde::Deserialize;
use vlp_eval::EvalError;
use vlp_eval::retrieval::{RankSummary, ranks, recall_at, retrieval, retrieval_in_folds};

#[derive(Deserialize)]
struct Fixture {
    images: usize,
    image_index: Vec<usize>,
    similarity: Vec<f32>,
    all: [[f64; 5]; 2],
    folds: [[f64; 5]; 2],
}

fn assert_equal(ours: RankSummary, theirs: [f64; 5]) {
    let ours = [ours.r1, ours.r5, ours.r10, ours.mean_rank, ours.median_rank];
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() < 1e-12, "{ours} {theirs}"); // order of summation
    }
}

#[test]
fn metrics_equal_those_of_sorting() {
    let f: Fixture = serde_json::from_str(include_str!("../fixtures/retrieval.json")).unwrap();
    let all = retrieval(&f.similarity, f.images, &f.image_index).unwrap();
    assert_equal(all.image_to_text, f.all[0]);
    assert_equal(all.text_to_image, f.all[1]);
    let recalls: f64 = f.all.iter().flat_map(|d| &d[..3]).sum();
    assert!((all.r_mean - recalls / 6.0).abs() < 1e-12);
    let folds = retrieval_in_folds(&f.similarity, f.images, &f.image_index, 3).unwrap();
    assert_equal(folds.image_to_text, f.folds[0]);
    assert_equal(folds.text_to_image, f.folds[1]);
}

#[test]
fn ties_rank_last() {
    let ranks = ranks(&[0.0; 12], 3, &[0, 1, 2, 2]).unwrap();
    assert_eq!(ranks.image_to_text, [4, 4, 3]);
    assert_eq!(ranks.text_to_image, [3, 3, 3, 3]);
    assert_eq!(recall_at(&ranks.image_to_text, 3), 1.0 / 3.0);
}

#[test]
fn errors_name_the_input() {
    let valid = [1.0, 0.0, 0.0, 1.0];
    assert_eq!(
        retrieval(&valid[..3], 2, &[0, 1]),
        Err(EvalError::BadShape {
            len: 3,
            images: 2,
            texts: 2
        })
    );
    let nan = [1.0, 0.0, f32::NAN, 1.0];
    assert_eq!(
        retrieval(&nan, 2, &[0, 1]),
        Err(EvalError::BadSimilarity { image: 1, text: 0 })
    );
    assert_eq!(
        retrieval(&valid, 2, &[0, 2]),
        Err(EvalError::BadTextImage {
            text: 1,
            image: 2,
            images: 2
        })
    );
    assert_eq!(
        retrieval(&valid, 2, &[0, 0]),
        Err(EvalError::NoText { image: 1 })
    );
    for folds in [0, 3] {
        assert_eq!(
            retrieval_in_folds(&valid, 2, &[0, 1], folds),
            Err(EvalError::BadFolds { images: 2, folds })
        );
    }
    assert!(matches!(
        retrieval(&[], 0, &[]),
        Err(EvalError::Empty { .. })
    ));
}

proptest! {
    /// Positive pairs with the highest similarities have rank 1; so have all pairs with one image per fold.
    #[test]
    fn most_similar_positives_have_rank_one(extra_texts in prop::collection::vec(0_usize..6, 0..12), noise in prop::collection::vec(0.0_f32..0.9, 108)) {
        let image_index: Vec<usize> = (0..6).chain(extra_texts).collect();
        let texts = image_index.len();
        let is_positive = |i: usize| f32::from(u8::from(image_index[i % texts] == i / texts));
        let similarity: Vec<f32> = (0..6 * texts).map(|i| is_positive(i) + noise[i]).collect();
        let all = retrieval(&similarity, 6, &image_index).unwrap();
        prop_assert_eq!((all.image_to_text.r1, all.text_to_image.median_rank, all.r_mean), (1.0, 1.0, 1.0));
        let noise = &noise[..6 * texts];
        let folds = retrieval_in_folds(noise, 6, &image_index, 6).unwrap();
        prop_assert_eq!(folds.text_to_image.r1, 1.0);
        let ranks = ranks(noise, 6, &image_index).unwrap();
        prop_assert!(ranks.text_to_image.iter().all(|&r| (1..=6).contains(&r)));
        prop_assert!((1..texts).all(|k| recall_at(&ranks.image_to_text, k) <= recall_at(&ranks.image_to_text, k + 1)));
    }
}
