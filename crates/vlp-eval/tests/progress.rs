//! Progress callbacks count up to the total and do not change results.
#![allow(clippy::unwrap_used)]

use vlp_eval::caption::{CaptionPair, caption_scores, caption_scores_with_progress};
use vlp_eval::coco_ap::{Detection, GroundTruth, evaluate, evaluate_with_progress};
use vlp_eval::retrieval::{retrieval_in_folds, retrieval_with_progress};

/// Asserts that every count up to the total was reported once.
fn check(calls: &[(usize, usize)], total: usize) {
    let expected: Vec<_> = (1..=total).map(|done| (done, total)).collect();
    assert_eq!(calls, expected);
}

#[test]
fn progress_counts_up_to_the_total() {
    let mut calls = vec![];
    let bbox = [0.0, 0.0, 40.0, 40.0];
    let truth = |category_id| GroundTruth {
        image_id: 1,
        category_id,
        bbox,
        area: 1600.0,
        crowd: false,
    };
    let truths = [truth(3), truth(1), truth(3)];
    let detections = [Detection {
        image_id: 1,
        category_id: 3,
        bbox,
        score: 0.5,
    }];
    let result =
        evaluate_with_progress(&[1], &truths, &detections, |d, t| calls.push((d, t))).unwrap();
    assert_eq!(result, evaluate(&[1], &truths, &detections).unwrap());
    check(&calls, 2);

    let references = ["a dog runs".to_owned(), "the dog sits".to_owned()];
    let pair = |hypothesis| CaptionPair {
        hypothesis,
        references: &references,
    };
    let pairs = [pair("a dog sits"), pair("a cat")];
    calls.clear();
    let result = caption_scores_with_progress(&pairs, |d, t| calls.push((d, t))).unwrap();
    assert_eq!(result, caption_scores(&pairs).unwrap());
    check(&calls, 2 + 4 + 4 * 2);

    let (similarity, image_index) = ([0.1, 0.9, 0.3, 0.4], [0, 1]);
    calls.clear();
    let result =
        retrieval_with_progress(&similarity, 2, &image_index, 2, |d, t| calls.push((d, t)));
    assert_eq!(result, retrieval_in_folds(&similarity, 2, &image_index, 2));
    check(&calls, 2);
}
