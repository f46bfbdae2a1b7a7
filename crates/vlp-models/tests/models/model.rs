//! E2E-VLP: sizes, passes and padding.

use crate::common::{images, max_abs_diff, objectives, parameter_count, small, vocabulary};
use burn::prelude::*;
use burn::tensor::{Distribution, TensorData};
use vlp_models::{E2eVlp, initialize};
use vlp_objectives::{EncoderPasses, Inputs, Pairing, VisionLanguage};
use vlp_transformer::{DecoderInput, Memory, TextBatch};
use vlp_vision::{Depth, ResNetConfig, sine_positions};

/// Normalized states after three layers; the order of sums differs.
const ROUNDING: f64 = 5e-5;

#[test]
fn parameter_counts_match_the_paper() {
    // Parameters in millions with tied output heads, for encoders of 6 and of 12 layers.
    for (depth, six, twelve) in [
        (Depth::R50, 43.8, 48.5),
        (Depth::R101, 62.8, 67.5),
        (Depth::R152, 78.4, 83.2),
    ] {
        for (encoder_layers, expected) in [(6, six), (12, twelve)] {
            let config = small()
                .with_backbone(ResNetConfig::new(depth))
                .with_d_model(256)
                .with_n_heads(8)
                .with_d_ff(1024)
                .with_encoder_layers(encoder_layers)
                .with_decoder_layers(6)
                .with_max_positions(512);
            let device = Device::flex();
            let model = parameter_count(&config.init(30_522, &device).unwrap());
            let objectives = objectives(256, 30_522, vocabulary(1600, 400), &device);
            let count = (model + parameter_count(&objectives)) as f64 / 1e6;
            assert!(
                (count - expected).abs() < 0.1,
                "{depth:?}, {encoder_layers}: {count} M"
            );
        }
    }
}

fn model(device: &Device) -> E2eVlp {
    initialize(small().init(40, device).unwrap(), 9)
}

/// Image tokens of an `h` x `w` map in a map of `height` x `width`, whose padding has values up to `scale`.
fn padded(tokens: &Memory, [h, w]: [usize; 2], [height, width]: [usize; 2], scale: f32) -> Memory {
    let device = tokens.states.device();
    let [batch, _, d] = tokens.states.dims();
    let is_padding: Vec<bool> = (0..batch * height * width)
        .map(|index| index % (height * width) / width >= h || index % width >= w)
        .collect();
    let pad_mask =
        Tensor::<3, Bool>::from_data(TensorData::new(is_padding, [batch, height, width]), &device);
    let states = Tensor::<4>::random(
        [batch, height, width, d],
        Distribution::Uniform(-1.0, 1.0),
        &device,
    ) * scale;
    let valid = tokens.states.clone().reshape([batch, h, w, d]);
    let states = states.slice_assign(s![.., 0..h, 0..w], valid);
    Memory {
        states: states.reshape([batch, height * width, d]),
        pos: sine_positions(pad_mask.clone(), d).reshape([batch, height * width, d]),
        pad_mask: pad_mask.reshape([batch, height * width]),
    }
}

#[test]
fn padding_does_not_change_valid_outputs_of_equal_features() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let model = model(&device);
        let batch = images(&[(64, 96), (64, 96)], &device);
        let tokens = model.image_tokens(&batch, 1).unwrap().tokens;
        let [h, w] = [4, 6];
        assert_eq!(tokens.states.dims()[1], h * w);
        let text = |padding: usize| {
            let mut text = TextBatch::collate(&[&[2, 8, 9, 3], &[2, 7, 6, 3]], 0, &device);
            let length = 4 + padding;
            let ids = Tensor::full([2, padding.max(1)], 17, &device).slice(s![.., 0..padding]);
            text.ids = Tensor::cat(vec![text.ids, ids], 1);
            let is_padding: Vec<bool> = (0..2 * length).map(|i| i % length >= 4).collect();
            text.pad_mask = Tensor::from_data(TensorData::new(is_padding, [2, length]), &device);
            text
        };
        let run = |image: &Memory, size: [usize; 2], text: &TextBatch| {
            let [batch, image_length, d] = image.states.dims();
            let joint = model
                .encode_all(&model.joint_tokens(image, text))
                .pop()
                .unwrap();
            let image_only = model.encode_all(image).pop().unwrap();
            let memory = Memory {
                states: image_only.clone(),
                ..image.clone()
            };
            let queries = Tensor::ones([batch, 3, d], &device) * 0.5;
            let decoded = model.decoder.forward(DecoderInput {
                x: queries.zeros_like(),
                query_pos: Some(queries),
                bias: None,
                memory: &memory,
            });
            let valid = |states: Tensor<3>| {
                states
                    .reshape([batch, size[0], size[1], d])
                    .slice(s![.., 0..h, 0..w])
            };
            (
                valid(joint.clone().slice(s![.., ..image_length])),
                joint.slice(s![.., image_length..image_length + 4]),
                valid(image_only),
                decoded,
            )
        };
        let expected = run(&tokens, [h, w], &text(0));
        for (size, text_padding) in [([h, w], 3), ([7, 6], 0), ([5, 9], 5)] {
            let image = padded(&tokens, [h, w], size, 20.0);
            let actual = run(&image, size, &text(text_padding));
            assert!(
                max_abs_diff(expected.0.clone(), actual.0) < ROUNDING,
                "joint image, {size:?}"
            );
            assert!(
                max_abs_diff(expected.1.clone(), actual.1) < ROUNDING,
                "text, {size:?}"
            );
            assert!(
                max_abs_diff(expected.2.clone(), actual.2) < ROUNDING,
                "image only, {size:?}"
            );
            assert!(
                max_abs_diff(expected.3.clone(), actual.3) < ROUNDING,
                "decoder, {size:?}"
            );
        }
    }
}

#[test]
fn passes_run_on_demand_and_are_independent() {
    let device = Device::flex();
    let model = model(&device);
    let batch = images(&[(64, 64), (48, 33)], &device);
    let text = |id: u32| TextBatch::collate(&[&[2, id, 3], &[2, 5, id, 3]], 0, &device);
    let pairing = Pairing::one_to_one(2);
    let encode = |id: u32, passes| {
        let text = text(id);
        let inputs = Inputs {
            image_texts: Some(&text),
            ..Inputs::new(&batch, &text, &pairing)
        };
        model.encode(&inputs, passes).unwrap()
    };
    let none = encode(8, EncoderPasses::NONE);
    assert!(none.joint.is_none() && none.image.is_none() && none.text.is_none());
    let text_only = encode(8, EncoderPasses::TEXT);
    assert!(text_only.joint.is_none() && text_only.image.is_none() && text_only.text.is_some());
    let joint = encode(8, EncoderPasses::JOINT);
    assert!(joint.joint.is_some() && joint.image.is_none() && joint.text.is_none());
    let both = |id| encode(id, EncoderPasses::JOINT.union(EncoderPasses::IMAGE));
    let (a, b) = (both(8), both(9));
    assert_eq!(
        max_abs_diff(a.image.unwrap().states, b.image.unwrap().states),
        0.0,
        "the image-only pass does not depend on the text"
    );
    let (a, b) = (a.joint.unwrap(), b.joint.unwrap());
    assert!(max_abs_diff(a.image.states, b.image.states) > 1e-4);
    assert_eq!(a.text.states.dims(), [2, 4, 16]);
    let joint = joint.joint.unwrap();
    assert_eq!(max_abs_diff(a.text.states, joint.text.states.clone()), 0.0);
    let text = text(8);
    let inputs = Inputs::new(&batch, &text, &pairing);
    let with_attention = model.encode_with_attention(&inputs, EncoderPasses::JOINT);
    let (output, weights) = with_attention.unwrap();
    let (with_attention, weights) = (output.joint.unwrap(), weights.unwrap());
    let difference = max_abs_diff(joint.text.states, with_attention.text.states);
    assert_eq!(difference, 0.0);
    let [texts, length, image_length] = weights.dims();
    assert_eq!([texts, length], [2, 4]);
    let sums: Vec<f32> = weights.clone().sum_dim(2).into_data().iter().collect();
    assert!(sums.iter().all(|sum| *sum > 0.0 && *sum < 1.0), "{sums:?}");
    let is_padding = with_attention.image.pad_mask.unsqueeze_dim::<3>(1);
    let is_padding = is_padding.expand([texts, length, image_length]);
    let padding = weights.mask_fill(is_padding.bool_not(), 0.0).sum();
    assert_eq!(padding.into_scalar::<f32>(), 0.0);
}

#[test]
fn invalid_configurations_are_errors() {
    let device = Device::flex();
    for (config, start) in [
        (
            small().with_d_model(18),
            "model.d_model = 18: 2-D sine positions need a multiple of 4",
        ),
        (small().with_d_model(0), "model.d_model = 0"),
        (
            small().with_n_heads(12).with_d_model(256),
            "model.n_heads = 12: must divide d_model = 256: use one of 1, 2, 4, 8",
        ),
        (
            small().with_decoder_layers(0),
            "model.decoder_layers = 0: use at least 1",
        ),
        (small().with_dropout(1.5), "model.dropout = 1.5"),
        (
            small().with_backbone(small().backbone.with_stages(9)),
            "backbone.stages = 9",
        ),
    ] {
        let message = config.init(40, &device).unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }
}
