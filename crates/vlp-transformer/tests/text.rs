//! Batches of token ids and their embedding.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::{distance, redraw};
use vlp_transformer::{TextBatch, TextEmbeddingConfig};

fn config() -> TextEmbeddingConfig {
    TextEmbeddingConfig {
        vocab_size: 30,
        d_model: 8,
        max_len: 6,
        types: 2,
        dropout: 0.0,
    }
}

#[test]
fn rows_are_padded_to_the_longest() {
    let device = Device::flex();
    let batch = TextBatch::pack(&[&[4, 5, 6], &[7], &[]], 9, &device);
    let ids: Vec<i64> = batch.ids.into_data().iter().collect();
    let mask: Vec<bool> = batch.pad_mask.into_data().iter().collect();
    assert_eq!(ids, [4, 5, 6, 7, 9, 9, 9, 9, 9]);
    assert_eq!(
        mask,
        [false, false, false, false, true, true, true, true, true]
    );
    assert_eq!(
        TextBatch::pack(&[&[], &[]], 0, &device).ids.dims(),
        [2, 1],
        "never without a place"
    );
}

#[test]
fn texts_that_cannot_be_embedded_are_named() {
    let words = config().init(&Device::flex());
    words.check(&[&[0, 29], &[1, 2, 3, 4, 5, 6]]).unwrap();
    assert_eq!(
        words
            .check(&[&[1], &[1, 2, 3, 4, 5, 6, 7]])
            .unwrap_err()
            .to_string(),
        "text 1 has 7 tokens, the model takes at most 6 (max_len): shorten it or raise max_len"
    );
    let message = words.check(&[&[1, 30]]).unwrap_err().to_string();
    assert!(
        message.starts_with("text 0, token 1: id 30 is not in a vocabulary of 30"),
        "{message}"
    );
}

#[test]
fn a_later_start_is_the_same_place() {
    let device = Device::flex();
    let words = redraw(config().init(&device), 4);
    let text = TextBatch::pack(&[&[4, 5, 6, 7], &[8, 9, 10, 11]], 0, &device);
    let whole = words.forward(text.ids.clone());
    for place in 0..4 {
        let one = words.forward_at(text.ids.clone().slice(s![.., place..place + 1]), place);
        assert_eq!(
            distance(one, whole.clone().slice(s![.., place..place + 1])),
            0.0
        );
    }
}

#[test]
fn each_token_has_its_own_type() {
    let device = Device::flex();
    let words = redraw(config().init(&device), 4);
    let ids = TextBatch::pack(&[&[4, 5, 6, 7]], 0, &device).ids;
    let plain = words.forward(ids.clone());
    let typed = |types: [i32; 4]| {
        let types = Tensor::<1, Int>::from_ints(types, &device).unsqueeze();
        words.forward_typed(ids.clone(), types)
    };
    let half = |x: Tensor<3>, from| x.slice(s![.., from..from + 2]);
    // Three rows summed in another order: some roundings of values near 1.
    assert!(distance(typed([0; 4]), plain.clone()) < 1e-5);
    let pair = typed([0, 0, 1, 1]);
    assert!(distance(half(pair.clone(), 0), half(plain.clone(), 0)) < 1e-5);
    assert_eq!(distance(half(pair.clone(), 2), half(typed([1; 4]), 2)), 0.0);
    assert!(distance(half(pair, 2), half(plain, 2)) > 1e-2);
}
