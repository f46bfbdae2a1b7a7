//! Gradients against finite differences, in f64.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "transformer/common/mod.rs"]
mod common;

use std::sync::OnceLock;

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::FloatDType;
use common::{decoder, encoder, memory, numeric_grad, random, randomize_weights};
use vlp_transformer::{
    AttentionBias, Decoder, DecoderInput, Encoder, LayerConfig, Memory, TextBatch, TextEmbedding,
    TextEmbeddingConfig,
};

/// A device whose default float type is f64, for the whole process.
fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let mut device = Device::flex();
        device.configure(FloatDType::F64).unwrap();
        device
    });
    device.clone().autodiff()
}

fn assert_close((autodiff, numeric): (f64, f64)) {
    // Errors of central differences with step 1e-5: 1e-10 from curvature, 1e-11 from rounding.
    let bound = 1e-7 * autodiff.abs().max(1.0);
    assert!((autodiff - numeric).abs() < bound, "{autodiff} {numeric}");
    assert!(
        autodiff.abs() > 1e-3,
        "a gradient of {autodiff} is too small to test"
    );
}

#[derive(Module, Debug)]
struct Small {
    words: TextEmbedding,
    encoder: Encoder,
    decoder: Decoder,
}

fn small(layer: LayerConfig) -> Small {
    let device = device();
    let words = TextEmbeddingConfig::new(20, 12)
        .with_max_positions(8)
        .with_type_vocab_size(1)
        .with_dropout(0.0);
    Small {
        words: randomize_weights(words.init(&device).unwrap(), 3),
        encoder: encoder(layer.clone(), 2, &device),
        decoder: decoder(layer, 2, &device),
    }
}

#[test]
fn gradients_of_encoder_and_embedding() {
    let device = device();
    let text = TextBatch::collate(&[&[1, 5, 7, 2], &[1, 9, 2]], 0, &device);
    let bias = AttentionBias::padding(text.pad_mask.clone());
    let pos = random([2, 4, 12], 21, &device);
    for (seed, layer) in [
        LayerConfig::detr(12, 3, 16, 0.0),
        LayerConfig::bert(12, 2, 16, 0.0),
    ]
    .into_iter()
    .enumerate()
    {
        let model = small(layer);
        let parts = (model.words, model.encoder);
        assert_close(numeric_grad(&parts, seed as u64 + 1, |(words, encoder)| {
            let x = words.forward(text.ids.clone());
            let states = encoder.forward(x, Some(pos.clone()), Some(&bias));
            // The first three positions are valid in both texts.
            (states.slice(s![.., 0..3]) * random([2, 3, 12], 22, &device)).sum()
        }));
    }
}

#[test]
fn gradients_of_decoder_for_queries_and_captions() {
    let device = device();
    let model = small(LayerConfig::detr(12, 3, 16, 0.0));
    let text = TextBatch::collate(&[&[1, 5, 7, 2], &[1, 9, 2]], 0, &device);
    for seed in 1..4 {
        assert_close(numeric_grad(&model, seed, |model| {
            let bias = AttentionBias::padding(text.pad_mask.clone());
            let states =
                model
                    .encoder
                    .forward(model.words.forward(text.ids.clone()), None, Some(&bias));
            let memory = Memory {
                states,
                pad_mask: text.pad_mask.clone(),
                ..memory(2, 4, 12, &device)
            };
            let captions = model.decoder.forward(DecoderInput {
                x: model.words.forward(text.ids.clone()),
                query_pos: None,
                bias: Some(AttentionBias::causal(4, &device).or(bias)),
                memory: &memory,
            });
            let queries = model.decoder.forward_all(DecoderInput {
                x: random([2, 5, 12], 25, &device),
                query_pos: Some(random([2, 5, 12], 26, &device)),
                bias: None,
                memory: &memory,
            });
            let queries = Tensor::cat(queries, 1) * random([2, 10, 12], 27, &device);
            queries.sum() + (captions.slice(s![.., 0..3]) * random([2, 3, 12], 28, &device)).sum()
        }));
    }
}
