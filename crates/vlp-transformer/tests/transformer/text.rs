//! Batches of token ids and their embedding.

use crate::common::{max_abs_diff, randomize_weights};
use burn::prelude::*;
use vlp_transformer::{TextBatch, TextEmbeddingConfig, TransformerError};

fn config() -> TextEmbeddingConfig {
    TextEmbeddingConfig::new(30, 8)
        .with_max_positions(6)
        .with_dropout(0.0)
}

#[test]
fn rows_are_padded_to_the_longest_row() {
    let device = Device::flex();
    let batch = TextBatch::collate(&[&[4, 5, 6], &[7], &[]], 9, &device);
    let ids: Vec<i64> = batch.ids.into_data().iter().collect();
    let mask: Vec<bool> = batch.pad_mask.into_data().iter().collect();
    assert_eq!(ids, [4, 5, 6, 7, 9, 9, 9, 9, 9]);
    assert_eq!(
        mask,
        [false, false, false, false, true, true, true, true, true]
    );
    assert_eq!(
        TextBatch::collate(&[&[], &[]], 0, &device).ids.dims(),
        [2, 1],
        "at least one position"
    );
}

#[test]
fn too_long_texts_and_unknown_ids_are_errors() {
    let words = config().init(&Device::flex()).unwrap();
    words.check(&[&[0, 29], &[1, 2, 3, 4, 5, 6]]).unwrap();
    assert_eq!(
        words
            .check(&[&[1], &[1, 2, 3, 4, 5, 6, 7]])
            .unwrap_err()
            .to_string(),
        "text 1 has 7 tokens, the model takes at most 6 (max_positions): shorten it or raise max_positions"
    );
    let message = words.check(&[&[1, 30]]).unwrap_err().to_string();
    assert!(
        message.starts_with("text 0, token 1: id 30 is not in a vocabulary of 30"),
        "{message}"
    );
}

#[test]
fn forward_from_gives_later_positions() {
    let device = Device::flex();
    let words = randomize_weights(config().init(&device).unwrap(), 4);
    let text = TextBatch::collate(&[&[4, 5, 6, 7], &[8, 9, 10, 11]], 0, &device);
    let whole = words.forward(text.ids.clone());
    for position in 0..4 {
        let token = words.forward_from(
            text.ids.clone().slice(s![.., position..position + 1]),
            position,
        );
        assert_eq!(
            max_abs_diff(token, whole.clone().slice(s![.., position..position + 1])),
            0.0
        );
    }
}

#[test]
fn token_types_are_per_token() {
    let device = Device::flex();
    let words = randomize_weights(config().init(&device).unwrap(), 4);
    let ids = TextBatch::collate(&[&[4, 5, 6, 7]], 0, &device).ids;
    let plain = words.forward(ids.clone());
    let typed = |token_types: [i32; 4]| {
        let token_types = Tensor::<1, Int>::from_ints(token_types, &device).unsqueeze();
        words.forward_with_token_types(ids.clone(), token_types)
    };
    let half = |x: Tensor<3>, from| x.slice(s![.., from..from + 2]);
    // Sums of three rows in another order.
    assert!(max_abs_diff(typed([0; 4]), plain.clone()) < 1e-5);
    let pair = typed([0, 0, 1, 1]);
    assert!(max_abs_diff(half(pair.clone(), 0), half(plain.clone(), 0)) < 1e-5);
    assert_eq!(
        max_abs_diff(half(pair.clone(), 2), half(typed([1; 4]), 2)),
        0.0
    );
    assert!(max_abs_diff(half(pair, 2), half(plain, 2)) > 1e-2);
}

#[test]
fn dropout_must_be_a_probability_below_one() {
    for dropout in [-0.1, 1.0, f64::NAN] {
        let error = config().with_dropout(dropout).init(&Device::flex()).err();
        let is_named = matches!(error, Some(TransformerError::Config { key: "dropout", .. }));
        assert!(is_named, "{dropout}: {error:?}");
    }
}
