//! Sizes, sequence and padding of whole models.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use burn::tensor::{Distribution, TensorData};
use common::{distance, objectives, parameters, small, vocabulary};
use vlp_models::{E2eVlp, E2eVlpConfig, initialise};
use vlp_objectives::{Inputs, Needs, VisionLanguage};
use vlp_transformer::{DecoderInput, Memory, TextBatch};
use vlp_vision::padded::ImageView;
use vlp_vision::{Depth, PaddedImages, ResNetConfig, sine_positions};

/// States of size 1 after a norm, three layers deep, sums in another order.
const ROUNDING: f64 = 5e-5;

#[test]
fn sizes_are_the_papers() {
    // Parameters in millions with tied heads: encoder of 6 and of 12 layers.
    for (depth, six, twelve) in [
        (Depth::R50, 43.8, 48.5),
        (Depth::R101, 62.8, 67.5),
        (Depth::R152, 78.4, 83.2),
    ] {
        for (encoder_layers, want) in [(6, six), (12, twelve)] {
            let config = E2eVlpConfig {
                backbone: ResNetConfig::new(depth),
                d_model: 256,
                heads: 8,
                ffn: 1024,
                encoder_layers,
                decoder_layers: 6,
                max_positions: 512,
                ..small()
            };
            let device = Device::flex();
            let model = parameters(&config.init(30_522, &device).unwrap());
            let heads = parameters(&objectives(256, 30_522, vocabulary(1600, 400), &device));
            let found = (model + heads) as f64 / 1e6;
            assert!(
                (found - want).abs() < 0.1,
                "{depth:?}, {encoder_layers}: {found} M"
            );
        }
    }
}

fn model(device: &Device) -> E2eVlp {
    initialise(small().init(40, device).unwrap(), 9)
}

fn images(sizes: &[(usize, usize)], device: &Device) -> PaddedImages {
    let pixels: Vec<Vec<f32>> = sizes
        .iter()
        .enumerate()
        .map(|(i, (h, w))| {
            (0..3 * h * w)
                .map(|at| ((at * 37 + i * 11) % 101) as f32 / 50.0 - 1.0)
                .collect()
        })
        .collect();
    let views: Vec<ImageView<'_>> = sizes
        .iter()
        .zip(&pixels)
        .map(|(&(height, width), pixels)| ImageView {
            pixels,
            height,
            width,
        })
        .collect();
    PaddedImages::pack(&views, 1, device).unwrap()
}

/// Image tokens of an `h` x `w` map as they stand in a map of `height` x `width`, with `rest` elsewhere.
fn padded(tokens: &Memory, [h, w]: [usize; 2], [height, width]: [usize; 2], rest: f32) -> Memory {
    let device = tokens.states.device();
    let [batch, _, d] = tokens.states.dims();
    let hidden: Vec<bool> = (0..batch * height * width)
        .map(|at| at % (height * width) / width >= h || at % width >= w)
        .collect();
    let pad_mask =
        Tensor::<3, Bool>::from_data(TensorData::new(hidden, [batch, height, width]), &device);
    let states = Tensor::<4>::random(
        [batch, height, width, d],
        Distribution::Uniform(-1.0, 1.0),
        &device,
    ) * rest;
    let own = tokens.states.clone().reshape([batch, h, w, d]);
    let states = states.slice_assign(s![.., 0..h, 0..w], own);
    Memory {
        states: states.reshape([batch, height * width, d]),
        pos: sine_positions(pad_mask.clone(), d).reshape([batch, height * width, d]),
        pad_mask: pad_mask.reshape([batch, height * width]),
    }
}

/// From equal features on, padding of picture and text changes no valid output.
#[test]
fn padding_changes_nothing_from_equal_features_on() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let model = model(&device);
        let batch = images(&[(64, 96), (64, 96)], &device);
        let tokens = model.image_tokens(&batch, 1).unwrap().tokens;
        let [h, w] = [4, 6];
        assert_eq!(tokens.states.dims()[1], h * w);
        let text = |pad: usize| {
            let mut text = TextBatch::pack(&[&[2, 8, 9, 3], &[2, 7, 6, 3]], 0, &device);
            let length = 4 + pad;
            let ids = Tensor::full([2, pad.max(1)], 17, &device).slice(s![.., 0..pad]);
            text.ids = Tensor::cat(vec![text.ids, ids], 1);
            let hidden: Vec<bool> = (0..2 * length).map(|at| at % length >= 4).collect();
            text.pad_mask = Tensor::from_data(TensorData::new(hidden, [2, length]), &device);
            text
        };
        let run = |image: &Memory, size: [usize; 2], text: &TextBatch| {
            let [batch, cells, d] = image.states.dims();
            let joint = model
                .encode_all(&model.joint_tokens(image, text))
                .pop()
                .unwrap();
            let alone = model.encode_all(image).pop().unwrap();
            let memory = Memory {
                states: alone.clone(),
                ..image.clone()
            };
            let queries = Tensor::ones([batch, 3, d], &device) * 0.5;
            let decoded = model.decoder.forward(DecoderInput {
                x: queries.zeros_like(),
                query_pos: Some(queries),
                bias: None,
                memory: &memory,
            });
            let map = |states: Tensor<3>| {
                states
                    .reshape([batch, size[0], size[1], d])
                    .slice(s![.., 0..h, 0..w])
            };
            (
                map(joint.clone().slice(s![.., 0..cells])),
                joint.slice(s![.., cells..cells + 4]),
                map(alone),
                decoded,
            )
        };
        let before = run(&tokens, [h, w], &text(0));
        for (size, pad) in [([h, w], 3), ([7, 6], 0), ([5, 9], 5)] {
            let image = padded(&tokens, [h, w], size, 20.0);
            let after = run(&image, size, &text(pad));
            assert!(
                distance(before.0.clone(), after.0) < ROUNDING,
                "joint image, {size:?}"
            );
            assert!(
                distance(before.1.clone(), after.1) < ROUNDING,
                "text, {size:?}"
            );
            assert!(
                distance(before.2.clone(), after.2) < ROUNDING,
                "image alone, {size:?}"
            );
            assert!(
                distance(before.3.clone(), after.3) < ROUNDING,
                "decoder, {size:?}"
            );
        }
    }
}

#[test]
fn passes_are_run_on_demand_and_do_not_mix() {
    let device = Device::flex();
    let model = model(&device);
    let batch = images(&[(64, 64), (48, 33)], &device);
    let text = |id: u32| TextBatch::pack(&[&[2, id, 3], &[2, 5, id, 3]], 0, &device);
    let encode = |id: u32, needs| {
        let inputs = Inputs {
            images: &batch,
            text: &text(id),
            image_of: &[0, 1],
            cells: &[],
        };
        model.encode(&inputs, needs).unwrap()
    };
    let nothing = encode(8, Needs::default());
    assert!(nothing.text.is_none() && nothing.image.is_none() && nothing.joint_image.is_none());
    let joint = encode(8, Needs::JOINT);
    assert!(joint.image.is_none() && joint.text.is_some() && joint.joint_image.is_some());
    let both = |id| encode(id, Needs::JOINT.or(Needs::IMAGE));
    let (a, b) = (both(8), both(9));
    assert_eq!(
        distance(a.image.unwrap().states, b.image.unwrap().states),
        0.0,
        "the text leaks"
    );
    assert!(distance(a.joint_image.unwrap().states, b.joint_image.unwrap().states) > 1e-4);
    let text = a.text.unwrap();
    assert_eq!(text.states.dims(), [2, 4, 16]);
    assert_eq!(distance(text.states, joint.text.unwrap().states), 0.0);
    assert!(joint.looks.is_none());
    // To tell where texts look changes nothing of the pass, and they look at no padding.
    let looking = encode(
        8,
        Needs {
            looks: true,
            ..Needs::JOINT
        },
    );
    let (text, image) = (looking.text.unwrap(), looking.joint_image.unwrap());
    assert_eq!(
        distance(text.states, encode(8, Needs::JOINT).text.unwrap().states),
        0.0
    );
    let looks = looking.looks.unwrap();
    let [texts, length, cells] = looks.dims();
    assert_eq!([texts, length], [2, 4]);
    let hidden = image
        .pad_mask
        .unsqueeze_dim::<3>(1)
        .expand([texts, length, cells]);
    let seen: Vec<f32> = looks.clone().sum_dim(2).into_data().iter().collect();
    assert!(seen.iter().all(|sum| *sum > 0.0 && *sum < 1.0), "{seen:?}");
    let padding = looks.mask_fill(hidden.bool_not(), 0.0).sum();
    assert_eq!(padding.into_scalar::<f32>(), 0.0);
}

#[test]
fn impossible_sizes_say_what_would_do() {
    let device = Device::flex();
    for (config, start) in [
        (
            E2eVlpConfig {
                d_model: 18,
                ..small()
            },
            "model.d_model = 18: 2-D sine positions need a multiple of 4",
        ),
        (
            E2eVlpConfig {
                d_model: 0,
                ..small()
            },
            "model.d_model = 0",
        ),
        (
            E2eVlpConfig {
                heads: 12,
                d_model: 256,
                ..small()
            },
            "model.heads = 12: heads must divide d_model = 256: use one of 1, 2, 4, 8",
        ),
        (
            E2eVlpConfig {
                decoder_layers: 0,
                ..small()
            },
            "model.decoder_layers = 0: use at least 1",
        ),
        (
            E2eVlpConfig {
                dropout: 1.5,
                ..small()
            },
            "model.dropout = 1.5",
        ),
        (
            E2eVlpConfig {
                backbone: ResNetConfig {
                    stages: 9,
                    ..small().backbone
                },
                ..small()
            },
            "backbone.stages = 9",
        ),
    ] {
        let message = config.init(40, &device).unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }
}
