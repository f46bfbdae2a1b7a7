//! SOHO: padding, several texts per image, masks, errors.

use crate::common::{images, max_abs_diff, small_soho};
use burn::prelude::*;
use vlp_models::{Soho, SohoConfig, initialize};
use vlp_objectives::{
    EncoderPasses, Inputs, MaskSampling, MaskedToken, Pairing, VisionLanguage, VisualMask,
    VisualMasks,
};
use vlp_testing::random;
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

/// Rounding of two layers in f32 on values of size 1.
const ROUNDING: f64 = 1e-5;

fn model(config: &SohoConfig, device: &Device) -> Soho {
    initialize(config.init(20, device).unwrap(), 3)
}

#[test]
fn padding_does_not_change_valid_outputs() {
    let device = Device::flex();
    let soho = model(&small_soho(), &device);
    let x = random::<3>([2, 9, 16], 1, &device);
    let mask = |padding: usize| {
        let row: Vec<bool> = (0..9 + padding).map(|i| i >= 9).collect();
        let rows = [row.clone(), row].concat();
        Tensor::<2, Bool>::from_data(TensorData::new(rows, [2, 9 + padding]), &device)
    };
    let expected = soho.encode_all(x.clone(), mask(0)).pop().unwrap();
    for (length, scale) in [(1, 1.0), (7, 1e3)] {
        let padding = random::<3>([2, length, 16], 5, &device).mul_scalar(scale);
        let padded = Tensor::cat(vec![x.clone(), padding], 1);
        let states = soho.encode_all(padded, mask(length)).pop().unwrap();
        let states = states.slice(s![.., 0..9]);
        assert!(
            max_abs_diff(expected.clone(), states) < ROUNDING,
            "{length}"
        );
    }
}

#[test]
fn image_with_several_texts_equals_repeated_image() {
    let device = Device::flex();
    let soho = model(&small_soho(), &device);
    let rows: [&[u32]; 4] = [&[2, 7, 3], &[2, 8, 9, 3], &[2, 5, 3], &[2, 6, 6, 3]];
    let text = TextBatch::collate(&rows, 0, &device);
    let visual_masks = [0.1, 0.9, 0.4, 0.6].map(|position| {
        Some(VisualMask {
            position,
            active: true,
            sampling: MaskSampling::Sample,
        })
    });
    let visual_masks = VisualMasks::new(&visual_masks, &device).unwrap();
    let encode = |images: &PaddedImages, image_index: &[usize]| {
        let pairing = Pairing::new(images.pixels.dims()[0], image_index.to_vec());
        let inputs = Inputs {
            visual_masks: Some(&visual_masks),
            ..Inputs::new(images, &text, &pairing)
        };
        let output = soho.encode(&inputs, EncoderPasses::JOINT).unwrap();
        let masked = output.codes.as_ref().unwrap().masked().to_vec();
        assert!(!masked.is_empty());
        let joint = output.joint.unwrap();
        (joint.text.states, joint.image.states, masked)
    };
    let image = images(&[(64, 48)], &device);
    let (text_states, image_states, masked) = encode(&image, &[0, 0, 0, 0]);
    let repeated = PaddedImages {
        pixels: image.pixels.repeat_dim(0, 4),
        pad_mask: image.pad_mask.int().repeat_dim(0, 4).greater_elem(0),
    };
    let expected = encode(&repeated, &[0, 1, 2, 3]);
    assert!(max_abs_diff(text_states, expected.0) < ROUNDING);
    assert!(max_abs_diff(image_states, expected.1) < ROUNDING);
    assert_eq!(masked, expected.2);
}

#[test]
fn code_is_masked_at_all_positions_but_padding() {
    let device = Device::flex();
    let soho = model(&small_soho(), &device);
    let images = images(&[(64, 64), (64, 24)], &device);
    let text = TextBatch::collate(&[&[2, 7, 3], &[2, 8, 3]], 0, &device);
    for (sampling, position, active) in [
        (MaskSampling::Sample, 0.999, [true, true]),
        (MaskSampling::Sample, 0.3, [false, true]),
        // The last column of the second image is padding.
        (MaskSampling::Batch, 0.999, [true, true]),
    ] {
        let visual_masks = active.map(|active| {
            Some(VisualMask {
                position,
                active,
                sampling,
            })
        });
        let visual_masks = VisualMasks::new(&visual_masks, &device).unwrap();
        let pairing = Pairing::one_to_one(2);
        let inputs = Inputs {
            visual_masks: Some(&visual_masks),
            ..Inputs::new(&images, &text, &pairing)
        };
        let output = soho.encode(&inputs, EncoderPasses::JOINT).unwrap();
        let codes = output.codes.unwrap();
        for (row, &is_active) in active.iter().enumerate() {
            let masked: Vec<_> = codes.masked().iter().filter(|m| m.row == row).collect();
            let Some(&&MaskedToken { code, .. }) = masked.first() else {
                assert!(!is_active || sampling == MaskSampling::Batch && row == 1);
                continue;
            };
            assert!(is_active);
            let positions: Vec<usize> = masked.iter().map(|m| m.position).collect();
            let codes = codes.assignments()[row].iter().enumerate();
            let expected = codes.filter(|(_, c)| **c == Some(code)).map(|(i, _)| i);
            assert_eq!(positions, expected.collect::<Vec<_>>());
        }
        let is_padded = |image: usize| codes.assignments()[image].contains(&None);
        assert!(is_padded(1) && !is_padded(0));
    }
}

#[test]
fn portrait_mask_bug_masks_the_right_of_portrait_images() {
    let device = Device::flex();
    let portrait = images(&[(64, 32)], &device);
    let landscape = images(&[(32, 64), (32, 40)], &device);
    for (portrait_mask_bug, masked, padded) in [(false, 0, 2), (true, 4, 0)] {
        let config = small_soho().with_portrait_mask_bug(portrait_mask_bug);
        let soho = model(&config, &device);
        let count = |images: &PaddedImages, row: usize| {
            let mask = soho.image_tokens(images, 1).unwrap().tokens.pad_mask;
            let mask: Vec<bool> = mask
                .slice(s![row..row + 1, ..])
                .into_data()
                .iter()
                .collect();
            mask.into_iter().filter(|masked| *masked).count()
        };
        assert_eq!(count(&portrait, 0), masked);
        assert_eq!(count(&landscape, 1), padded);
    }
}

#[test]
fn too_small_images_are_an_error() {
    let device = Device::flex();
    let soho = model(&small_soho(), &device);
    let error = soho
        .image_tokens(&images(&[(8, 64)], &device), 1)
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("8 x 64") && message.contains("at least 16 x 16"),
        "{message}"
    );
    assert!(soho.image_tokens(&images(&[(16, 16)], &device), 1).is_ok());
}
