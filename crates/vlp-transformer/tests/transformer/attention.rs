//! Masking, and agreement between the ways to compute attention.

use crate::common::{
    decoder, encoder, mask, max_abs_diff, memory, random, randomize_weights, to_cpu,
};
use burn::module::Module;
use burn::prelude::*;
use vlp_transformer::{
    AttentionBias, DecoderConfig, DecoderInput, EncoderConfig, LayerConfig, Memory,
    MultiHeadAttentionConfig, TextEmbeddingConfig, TransformerError,
};

/// Normalized states; the order of sums differs.
const ROUNDING: f64 = 2e-5;

fn layer() -> LayerConfig {
    LayerConfig::detr(16, 4, 32, 0.0)
}

#[test]
fn training_and_inference_attention_agree() {
    let (plain, train) = (Device::flex(), Device::flex().autodiff());
    // The last pair is long enough (256 K scores) for the tiled kernel.
    for (queries, keys) in [(1, 1), (5, 7), (33, 33), (300, 300)] {
        let config = MultiHeadAttentionConfig::new(16, 4).with_dropout(0.0);
        let attention = randomize_weights(config.init(&train).unwrap(), 3);
        let masked = |index: usize| !index.is_multiple_of(keys) && index.is_multiple_of(3);
        let mut masks = vec![None, Some(mask([2, keys], masked, &train))];
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
                let q = random([2, queries, 16], 4, &train);
                let k = random([2, keys, 16], 5, &train);
                let v = random([2, keys, 16], 6, &train);
                let train_bias = bias(&train, padding.clone());
                let plain_bias = bias(&plain, padding.clone().map(|p| p.inner()));
                let training =
                    attention.forward(q.clone(), k.clone(), v.clone(), train_bias.as_ref());
                let inference =
                    attention
                        .valid()
                        .forward(q.inner(), k.inner(), v.inner(), plain_bias.as_ref());
                let diff = max_abs_diff(training.inner(), inference);
                assert!(
                    diff < ROUNDING,
                    "{queries} x {keys}, causal {causal}: {diff}"
                );
            }
        }
    }
}

#[test]
fn fully_masked_query_attends_to_all_keys() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let config = MultiHeadAttentionConfig::new(8, 2).with_dropout(0.0);
        let attention = randomize_weights(config.init(&device).unwrap(), 3);
        let (q, k) = (random([2, 3, 8], 4, &device), random([2, 5, 8], 5, &device));
        let first_row = AttentionBias::padding(mask([2, 5], |index| index < 5, &device));
        let combined = AttentionBias::padding(mask([2, 5], |index| index < 2, &device)).or(
            AttentionBias::padding(mask([2, 5], |index| (2..5).contains(&index), &device)),
        );
        let unmasked = attention.forward(q.clone(), k.clone(), k.clone(), None);
        for bias in [first_row, combined] {
            let y = attention.forward(q.clone(), k.clone(), k.clone(), Some(&bias));
            // False for NaN.
            assert!(max_abs_diff(y, unmasked.clone()) < ROUNDING, "{device:?}");
        }
    }
}

#[test]
fn training_and_inference_stacks_agree() {
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
        assert!(max_abs_diff(a.inner(), b) < ROUNDING);
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
        assert!(max_abs_diff(a.inner(), b) < ROUNDING);
    }
}

#[test]
fn padding_does_not_change_valid_tokens() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let (encoder, decoder) = (encoder(layer(), 3, &device), decoder(layer(), 2, &device));
        let x = random([2, 6, 16], 1, &device);
        let pos = random([2, 6, 16], 2, &device);
        let encode = |x: Tensor<3>, pos: Tensor<3>, bias: &AttentionBias| {
            encoder.forward(x, Some(pos), Some(bias))
        };
        let valid = AttentionBias::padding(mask([2, 6], |_| false, &device));
        let unpadded = encode(x.clone(), pos.clone(), &valid);
        let padding = mask([2, 9], |index| index % 9 >= 6, &device);
        for seed in 0..3 {
            let pad = |x: &Tensor<3>, stream: u64| {
                let padding = random([2, 3, 16], 100 * seed + stream, &device).mul_scalar(50.0);
                Tensor::cat(vec![x.clone(), padding], 1)
            };
            let states = encode(
                pad(&x, 1),
                pad(&pos, 2),
                &AttentionBias::padding(padding.clone()),
            );
            assert!(max_abs_diff(states.slice(s![.., 0..6]), unpadded.clone()) < ROUNDING);
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
            let unpadded = decode(x.clone(), pos.clone(), mask([2, 6], |_| false, &device));
            let padded = decode(pad(&x, 3), pad(&pos, 4), padding.clone());
            assert!(max_abs_diff(unpadded, padded) < ROUNDING);
        }
    }
}

#[test]
fn causal_bias_hides_later_tokens() {
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
            let early = |t: &Tensor<3>| t.clone().slice(s![.., 0..changed]);
            assert_eq!(
                max_abs_diff(early(&before), early(&after)),
                0.0,
                "position {changed}"
            );
            let late = |t: &Tensor<3>| t.clone().slice(s![.., changed..7]);
            assert!(
                max_abs_diff(late(&before), late(&after)) > 1e-3,
                "later positions attend to it"
            );
        }
    }
}

#[test]
fn encoder_without_layers_is_the_identity() {
    let device = Device::flex();
    let encoder = EncoderConfig::new(0, layer()).init(&device).unwrap();
    let x = random([1, 3, 16], 1, &device);
    assert_eq!(to_cpu(encoder.forward(x.clone(), None, None)), to_cpu(x));
}

#[test]
fn n_heads_must_divide_d_model() {
    let layer = LayerConfig::detr(24, 7, 32, 0.0);
    let error = EncoderConfig::new(1, layer)
        .init(&Device::flex())
        .unwrap_err();
    assert!(matches!(
        error,
        TransformerError::Config { key: "n_heads", .. }
    ));
    assert_eq!(
        error.to_string(),
        "n_heads = 7: must divide d_model = 24: use one of 1, 2, 3, 4, 6, 8, 12, 24"
    );
    for n_heads in [0, 5, 48] {
        let config = MultiHeadAttentionConfig::new(24, n_heads).with_dropout(0.0);
        assert!(config.init(&Device::flex()).is_err(), "{n_heads}");
    }
}

#[test]
fn dropout_must_be_a_probability_below_one() {
    for dropout in [-0.1, 1.0, 2.0, f64::NAN] {
        let config = MultiHeadAttentionConfig::new(8, 2).with_dropout(dropout);
        let error = config.init(&Device::flex()).unwrap_err().to_string();
        assert!(error.starts_with("dropout = "), "{error}");
    }
}

#[test]
fn every_dropout_must_be_a_probability_below_one() {
    let device = Device::flex();
    for dropout in [-0.1, 1.0, 1.5, f64::NAN] {
        let layer = layer().with_activation_dropout(dropout);
        let errors = [
            EncoderConfig::new(1, layer.clone()).init(&device).err(),
            DecoderConfig::new(1, layer).init(&device).err(),
        ];
        for error in errors {
            let is_named = matches!(
                error,
                Some(TransformerError::Config {
                    key: "activation_dropout",
                    ..
                })
            );
            assert!(is_named, "{dropout}: {error:?}");
        }
    }
}

#[test]
fn configurations_are_the_same_after_being_written_and_read() {
    fn check<T>(config: &T)
    where
        T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let json = serde_json::to_value(config).unwrap();
        assert_eq!(serde_json::from_value::<T>(json.clone()).unwrap(), *config);
        let mut unknown = json;
        unknown["heads"] = 3.into();
        let line = serde_json::from_value::<T>(unknown).unwrap_err();
        assert!(line.to_string().contains("unknown field `heads`"), "{line}");
    }
    check(&EncoderConfig::new(3, layer()));
    check(&DecoderConfig::new(2, LayerConfig::bert(16, 4, 32, 0.1)));
    check(&MultiHeadAttentionConfig::new(24, 8).with_dropout(0.2));
    check(&TextEmbeddingConfig::new(30, 8).with_max_positions(6));
}
