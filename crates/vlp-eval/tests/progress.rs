//! Progress counts up to its total, and changes no figure.
#![allow(clippy::unwrap_used)]

use vlp_eval::caption::{
    CaptionPair, caption_scores, caption_scores_with_progress, cider, tokenize_pairs,
};
use vlp_eval::coco_ap::{Detection, GroundTruth, evaluate, evaluate_with_progress};
use vlp_eval::retrieval::{retrieval_in_folds, retrieval_with_progress};

/// Every count up to the total, once each.
fn check(heard: &[(usize, usize)], total: usize) {
    let expected: Vec<_> = (1..=total).map(|done| (done, total)).collect();
    assert_eq!(heard, expected);
}

#[test]
fn progress_counts_to_its_total() {
    let mut heard = vec![];
    let bbox = [0.0, 0.0, 40.0, 40.0];
    let truth = |category_id| GroundTruth {
        image_id: 1,
        category_id,
        bbox,
        area: 1600.0,
        crowd: false,
    };
    let truths = [truth(3), truth(1), truth(3)];
    let found = [Detection {
        image_id: 1,
        category_id: 3,
        bbox,
        score: 0.5,
    }];
    let with = evaluate_with_progress(&[1], &truths, &found, |d, t| heard.push((d, t))).unwrap();
    assert_eq!(with, evaluate(&[1], &truths, &found).unwrap());
    check(&heard, 2);

    let references = ["a dog runs".to_owned(), "the dog sits".to_owned()];
    let pair = |hypothesis| CaptionPair {
        hypothesis,
        references: &references,
    };
    let pairs = [pair("a dog sits"), pair("a cat")];
    heard.clear();
    let with = caption_scores_with_progress(&pairs, |d, t| heard.push((d, t))).unwrap();
    assert_eq!(with, caption_scores(&pairs).unwrap());
    check(&heard, 2 + 4 + 4 * 2);

    let tokens = tokenize_pairs(&pairs);
    heard.clear();
    let with = cider::pair_cider_d_with_progress(&tokens, |d, t| heard.push((d, t))).unwrap();
    assert_eq!(with, cider::pair_cider_d(&tokens).unwrap());
    check(&heard, 4);

    let (similarity, text_image) = ([0.1, 0.9, 0.3, 0.4], [0, 1]);
    heard.clear();
    let with = retrieval_with_progress(&similarity, 2, &text_image, 2, |d, t| heard.push((d, t)));
    assert_eq!(with, retrieval_in_folds(&similarity, 2, &text_image, 2));
    check(&heard, 2);
}
