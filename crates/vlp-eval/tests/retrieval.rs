//! Retrieval figures against plain sorting (`scripts/metrics/retrieval_fixture.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde::Deserialize;
use vlp_eval::EvalError;
use vlp_eval::retrieval::{RankSummary, ranks, recall_at, retrieval, retrieval_in_folds};

#[derive(Deserialize)]
struct Fixture {
    images: usize,
    text_image: Vec<usize>,
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
fn equals_sorting() {
    let f: Fixture = serde_json::from_str(include_str!("fixtures/retrieval.json")).unwrap();
    let all = retrieval(&f.similarity, f.images, &f.text_image).unwrap();
    assert_equal(all.text, f.all[0]);
    assert_equal(all.image, f.all[1]);
    let recalls: f64 = f.all.iter().flat_map(|d| &d[..3]).sum();
    assert!((all.r_mean - recalls / 6.0).abs() < 1e-12);
    let folds = retrieval_in_folds(&f.similarity, f.images, &f.text_image, 3).unwrap();
    assert_equal(folds.text, f.folds[0]);
    assert_equal(folds.image, f.folds[1]);
}

#[test]
fn ties_earn_nothing() {
    let ranks = ranks(&[0.0; 12], 3, &[0, 1, 2, 2]).unwrap();
    assert_eq!(ranks.of_texts, [4, 4, 3]);
    assert_eq!(ranks.of_images, [3, 3, 3, 3]);
    assert_eq!(recall_at(&ranks.of_texts, 3), 1.0 / 3.0);
}

#[test]
fn names_the_bad_input() {
    let good = [1.0, 0.0, 0.0, 1.0];
    assert_eq!(
        retrieval(&good[..3], 2, &[0, 1]),
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
        retrieval(&good, 2, &[0, 2]),
        Err(EvalError::BadTextImage {
            text: 1,
            image: 2,
            images: 2
        })
    );
    assert_eq!(
        retrieval(&good, 2, &[0, 0]),
        Err(EvalError::NoText { image: 1 })
    );
    for folds in [0, 3] {
        assert_eq!(
            retrieval_in_folds(&good, 2, &[0, 1], folds),
            Err(EvalError::BadFolds { images: 2, folds })
        );
    }
    assert!(matches!(
        retrieval(&[], 0, &[]),
        Err(EvalError::Empty { .. })
    ));
}

proptest! {
    /// Own pairs above all others are found first; a fold each finds them always.
    #[test]
    fn closer_pairs_come_first(owner in prop::collection::vec(0_usize..6, 0..12), noise in prop::collection::vec(0.0_f32..0.9, 108)) {
        let text_image: Vec<usize> = (0..6).chain(owner).collect();
        let columns = text_image.len();
        let own = |at: usize| f32::from(u8::from(text_image[at % columns] == at / columns));
        let similarity: Vec<f32> = (0..6 * columns).map(|at| own(at) + noise[at]).collect();
        let all = retrieval(&similarity, 6, &text_image).unwrap();
        prop_assert_eq!((all.text.r1, all.image.median_rank, all.r_mean), (1.0, 1.0, 1.0));
        let noise = &noise[..6 * columns];
        let folds = retrieval_in_folds(noise, 6, &text_image, 6).unwrap();
        prop_assert_eq!(folds.image.r1, 1.0);
        let found = ranks(noise, 6, &text_image).unwrap();
        prop_assert!(found.of_images.iter().all(|&r| (1..=6).contains(&r)));
        prop_assert!((1..columns).all(|k| recall_at(&found.of_texts, k) <= recall_at(&found.of_texts, k + 1)));
    }
}
