//! What a token sees, and that the ways to compute it agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::module::Module;
use burn::prelude::*;
use common::{decoder, distance, encoder, host, mask, memory, random, redraw};
use vlp_transformer::{
    AttentionBias, DecoderInput, EncoderConfig, LayerConfig, Memory, MultiHeadAttentionConfig,
    TransformerError,
};

/// States are of size 1 after a norm; the order of sums differs.
const ROUNDING: f64 = 2e-5;

fn layer() -> LayerConfig {
    LayerConfig::detr(16, 4, 32, 0.0)
}

#[test]
fn fused_attention_is_the_products_one_by_one() {
    let (plain, train) = (Device::flex(), Device::flex().autodiff());
    // The last pair is long enough (256 K scores) for the tiled kernel.
    for (queries, keys) in [(1, 1), (5, 7), (33, 33), (300, 300)] {
        let config = MultiHeadAttentionConfig {
            d_model: 16,
            heads: 4,
            dropout: 0.0,
        };
        let attention = redraw(config.init(&train).unwrap(), 3);
        let hidden = |at: usize| !at.is_multiple_of(keys) && at.is_multiple_of(3);
        let mut masks = vec![None, Some(mask([2, keys], hidden, &train))];
        if queries != keys {
            masks.truncate(2);
        }
        for padding in masks {
            for causal in [false, queries == keys] {
                let bias = |device: &Device, padding: Option<Tensor<2, Bool>>| {
                    let padding = padding.map(AttentionBias::padding);
                    match (padding, causal) {
                        (Some(p), true) => Some(p.or(AttentionBias::causal(keys, device))),
                        (None, true) => Some(AttentionBias::causal(keys, device)),
                        (padding, false) => padding,
                    }
                };
                let (q, k) = (
                    random([2, queries, 16], 4, &train),
                    random([2, keys, 16], 5, &train),
                );
                let v = random([2, keys, 16], 6, &train);
                let (open, closed) = (
                    bias(&train, padding.clone()),
                    bias(&plain, padding.clone().map(|p| p.inner())),
                );
                let training = attention.forward(q.clone(), k.clone(), v.clone(), open.as_ref());
                let inference =
                    attention
                        .valid()
                        .forward(q.inner(), k.inner(), v.inner(), closed.as_ref());
                let off = distance(training.inner(), inference);
                assert!(off < ROUNDING, "{queries} x {keys}, causal {causal}: {off}");
            }
        }
    }
}

#[test]
fn a_query_that_may_see_nothing_sees_everything() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let config = MultiHeadAttentionConfig {
            d_model: 8,
            heads: 2,
            dropout: 0.0,
        };
        let attention = redraw(config.init(&device).unwrap(), 3);
        let (q, k) = (random([2, 3, 8], 4, &device), random([2, 5, 8], 5, &device));
        let nothing = AttentionBias::padding(mask([2, 5], |at| at < 5, &device));
        let both = AttentionBias::padding(mask([2, 5], |at| at < 2, &device)).or(
            AttentionBias::padding(mask([2, 5], |at| (2..5).contains(&at), &device)),
        );
        let open = attention.forward(q.clone(), k.clone(), k.clone(), None);
        for bias in [nothing, both] {
            let y = attention.forward(q.clone(), k.clone(), k.clone(), Some(&bias));
            // NaN is no distance below anything.
            assert!(distance(y, open.clone()) < ROUNDING, "{device:?}");
        }
    }
}

#[test]
fn whole_stacks_agree_between_training_and_inference() {
    let device = Device::flex().autodiff();
    let (encoder, decoder) = (encoder(layer(), 2, &device), decoder(layer(), 2, &device));
    let memory = memory(3, 9, 16, &device);
    let inner = Memory {
        states: memory.states.clone().inner(),
        pos: memory.pos.clone().inner(),
        pad_mask: memory.pad_mask.clone().inner(),
    };
    let encode = |encoder: &vlp_transformer::Encoder, m: &Memory| {
        encoder.forward_all(m.states.clone(), Some(m.pos.clone()), Some(&m.bias()))
    };
    for (a, b) in encode(&encoder, &memory)
        .into_iter()
        .zip(encode(&encoder.valid(), &inner))
    {
        assert!(distance(a.inner(), b) < ROUNDING);
    }
    let x = random([3, 6, 16], 31, &device);
    let decode = |decoder: &vlp_transformer::Decoder, x: Tensor<3>, memory: &Memory| {
        let bias = Some(AttentionBias::causal(6, &x.device()));
        decoder.forward_all(DecoderInput {
            x,
            query_pos: None,
            bias,
            memory,
        })
    };
    let pairs = decode(&decoder, x.clone(), &memory).into_iter().zip(decode(
        &decoder.valid(),
        x.inner(),
        &inner,
    ));
    for (a, b) in pairs {
        assert!(distance(a.inner(), b) < ROUNDING);
    }
}

#[test]
fn padded_tokens_change_no_valid_one() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let (encoder, decoder) = (encoder(layer(), 3, &device), decoder(layer(), 2, &device));
        let x = random([2, 6, 16], 1, &device);
        let pos = random([2, 6, 16], 2, &device);
        let encode = |x: Tensor<3>, pos: Tensor<3>, hidden: &AttentionBias| {
            encoder.forward(x, Some(pos), Some(hidden))
        };
        let valid = AttentionBias::padding(mask([2, 6], |_| false, &device));
        let alone = encode(x.clone(), pos.clone(), &valid);
        // Whatever stands at three more places, valid places of both batches are equal.
        let padding = mask([2, 9], |at| at % 9 >= 6, &device);
        for seed in 0..3 {
            let longer = |t: &Tensor<3>, s: u64| {
                let rest = random([2, 3, 16], 100 * seed + s, &device).mul_scalar(50.0);
                Tensor::cat(vec![t.clone(), rest], 1)
            };
            let states = encode(
                longer(&x, 1),
                longer(&pos, 2),
                &AttentionBias::padding(padding.clone()),
            );
            assert!(distance(states.slice(s![.., 0..6]), alone.clone()) < ROUNDING);
            let decode = |states: Tensor<3>, pos: Tensor<3>, pad_mask: Tensor<2, Bool>| {
                let memory = Memory {
                    states,
                    pos,
                    pad_mask,
                };
                let queries = random([2, 4, 16], 7, &device);
                decoder.forward(DecoderInput {
                    x: queries.zeros_like(),
                    query_pos: Some(queries),
                    bias: None,
                    memory: &memory,
                })
            };
            let short = decode(x.clone(), pos.clone(), mask([2, 6], |_| false, &device));
            let long = decode(longer(&x, 3), longer(&pos, 4), padding.clone());
            assert!(distance(short, long) < ROUNDING);
        }
    }
}

#[test]
fn no_place_sees_a_later_token() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let decoder = decoder(layer(), 3, &device);
        let memory = memory(2, 5, 16, &device);
        let x = random([2, 7, 16], 1, &device);
        let run = |x: Tensor<3>| {
            let bias = Some(AttentionBias::causal(7, &device));
            decoder.forward(DecoderInput {
                x,
                query_pos: None,
                bias,
                memory: &memory,
            })
        };
        let before = run(x.clone());
        for changed in 1..7 {
            let other = random([2, 1, 16], 90 + changed as u64, &device).mul_scalar(30.0);
            let after = run(x.clone().slice_assign(s![.., changed..changed + 1], other));
            // Not rounding: equal to the last bit.
            let early = |t: &Tensor<3>| t.clone().slice(s![.., 0..changed]);
            assert_eq!(
                distance(early(&before), early(&after)),
                0.0,
                "place {changed}"
            );
            let late = |t: &Tensor<3>| t.clone().slice(s![.., changed..7]);
            assert!(
                distance(late(&before), late(&after)) > 1e-3,
                "later places do see it"
            );
        }
    }
}

#[test]
fn without_layers_tokens_stay_as_they_are() {
    let device = Device::flex();
    let encoder = EncoderConfig {
        layers: 0,
        layer: layer(),
    }
    .init(&device)
    .unwrap();
    let x = random([1, 3, 16], 1, &device);
    assert_eq!(host(encoder.forward(x.clone(), None, None)), host(x));
}

#[test]
fn heads_must_divide_the_width() {
    let layer = LayerConfig::detr(24, 7, 32, 0.0);
    let error = EncoderConfig { layers: 1, layer }
        .init(&Device::flex())
        .unwrap_err();
    assert!(matches!(
        error,
        TransformerError::Config { key: "heads", .. }
    ));
    assert_eq!(
        error.to_string(),
        "heads = 7: heads must divide d_model = 24: use one of 1, 2, 3, 4, 6, 8, 12, 24"
    );
    for heads in [0, 5, 48] {
        let config = MultiHeadAttentionConfig {
            d_model: 24,
            heads,
            dropout: 0.0,
        };
        assert!(config.init(&Device::flex()).is_err(), "{heads}");
    }
}

#[test]
fn dropout_must_be_a_probability_below_one() {
    for dropout in [-0.1, 1.0, 2.0, f64::NAN] {
        let config = MultiHeadAttentionConfig {
            d_model: 8,
            heads: 2,
            dropout,
        };
        let error = config.init(&Device::flex()).unwrap_err().to_string();
        assert!(error.starts_with("dropout = "), "{error}");
    }
}
