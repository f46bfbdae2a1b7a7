//! SOHO put together: what padding, copies and masks may change, and errors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::distance;
use vlp_models::{Pool, Soho, SohoConfig, initialise};
use vlp_objectives::{CellDraw, CellRule, Inputs, Needs, VisionLanguage};
use vlp_testing::random;
use vlp_transformer::TextBatch;
use vlp_vision::padded::ImageView;
use vlp_vision::{Depth, NormMode, PaddedImages, QuantiserConfig, ResNetConfig, Stem};

/// Rounding of two layers in f32 on values near 1.
const ROUNDING: f64 = 1e-5;

fn small() -> SohoConfig {
    SohoConfig {
        backbone: ResNetConfig {
            width: 4,
            stem: Stem::Small,
            stages: 3,
            norm: NormMode::Frozen,
            ..ResNetConfig::new(Depth::R10)
        },
        d_model: 16,
        heads: 4,
        ffn: 32,
        encoder_layers: 2,
        decoder_layers: 0,
        dropout: 0.0,
        max_positions: 12,
        pool: Pool::Before,
        quantiser: Some(QuantiserConfig::new(6)),
        portrait_mask_fault: false,
        recompute: vec![],
    }
}

fn model(config: &SohoConfig, device: &Device) -> Soho {
    initialise(config.init(20, device).unwrap(), 3)
}

fn images(sizes: &[(usize, usize)], device: &Device) -> PaddedImages {
    let pixels: Vec<Vec<f32>> = sizes
        .iter()
        .enumerate()
        .map(|(i, (h, w))| {
            let values = vlp_testing::noise(3 * h * w, i as u64 + 1);
            values.into_iter().map(|v| v as f32).collect()
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

#[test]
fn padded_cells_and_words_change_no_valid_output() {
    let device = Device::flex();
    let soho = model(&small(), &device);
    let x = random::<3>([2, 9, 16], 1, &device);
    let mask = |extra: usize| {
        let row: Vec<bool> = (0..9 + extra).map(|i| i >= 9).collect();
        let both = [row.clone(), row].concat();
        Tensor::<2, Bool>::from_data(TensorData::new(both, [2, 9 + extra]), &device)
    };
    let plain = soho.encode_all(x.clone(), mask(0)).pop().unwrap();
    for (extra, scale) in [(1, 1.0), (7, 1e3)] {
        let more = random::<3>([2, extra, 16], 5, &device).mul_scalar(scale);
        let longer = Tensor::cat(vec![x.clone(), more], 1);
        let found = soho.encode_all(longer, mask(extra)).pop().unwrap();
        let found = found.slice(s![.., 0..9]);
        assert!(distance(plain.clone(), found) < ROUNDING, "{extra}");
    }
}

#[test]
fn several_texts_beside_a_picture_are_that_picture_several_times() {
    let device = Device::flex();
    let soho = model(&small(), &device);
    let rows: [&[u32]; 4] = [&[2, 7, 3], &[2, 8, 9, 3], &[2, 5, 3], &[2, 6, 6, 3]];
    let text = TextBatch::pack(&rows, 0, &device);
    let cells = [0.1, 0.9, 0.4, 0.6].map(|at| {
        Some(CellDraw {
            at,
            keep: true,
            rule: CellRule::Sample,
        })
    });
    let encode = |sizes: &[(usize, usize)], image_of: &[usize]| {
        let images = images(sizes, &device);
        let inputs = Inputs {
            images: &images,
            text: &text,
            image_of,
            cells: &cells,
        };
        let encoded = soho.encode(&inputs, Needs::JOINT).unwrap();
        let masked = encoded.codes.as_ref().unwrap().masked.clone();
        assert!(!masked.is_empty());
        (
            encoded.text.unwrap().states,
            encoded.joint_image.unwrap().states,
            masked,
        )
    };
    // One picture with four texts; the same picture four times.
    let shared = encode(&[(64, 48)], &[0, 0, 0, 0]);
    let one = images(&[(64, 48)], &device);
    let four = PaddedImages {
        pixels: one.pixels.repeat_dim(0, 4),
        pad_mask: one.pad_mask.int().repeat_dim(0, 4).greater_elem(0),
    };
    let inputs = Inputs {
        images: &four,
        text: &text,
        image_of: &[0, 1, 2, 3],
        cells: &cells,
    };
    let apart = soho.encode(&inputs, Needs::JOINT).unwrap();
    assert_eq!(apart.codes.as_ref().unwrap().masked, shared.2);
    assert!(distance(apart.text.unwrap().states, shared.0) < ROUNDING);
    assert!(distance(apart.joint_image.unwrap().states, shared.1) < ROUNDING);
}

#[test]
fn a_code_is_masked_wherever_it_occurs_and_padding_never() {
    let device = Device::flex();
    let soho = model(&small(), &device);
    let images = images(&[(64, 64), (64, 24)], &device);
    let text = TextBatch::pack(&[&[2, 7, 3], &[2, 8, 3]], 0, &device);
    for (rule, at, keep) in [
        (CellRule::Sample, 0.999, [true, true]),
        (CellRule::Sample, 0.3, [false, true]),
        // The last column of the second picture is padding.
        (CellRule::Batch, 0.999, [true, true]),
    ] {
        let cells = keep.map(|keep| Some(CellDraw { at, keep, rule }));
        let inputs = Inputs {
            images: &images,
            text: &text,
            image_of: &[0, 1],
            cells: &cells,
        };
        let encoded = soho.encode(&inputs, Needs::JOINT).unwrap();
        let codes = encoded.codes.unwrap();
        for (row, &kept) in keep.iter().enumerate() {
            let masked: Vec<_> = codes.masked.iter().filter(|m| m.0 == row).collect();
            let own = &codes.of_cells[row];
            let Some(&&(_, _, code)) = masked.first() else {
                assert!(!kept || rule == CellRule::Batch && row == 1);
                continue;
            };
            assert!(kept);
            let places: Vec<usize> = masked.iter().map(|m| m.1).collect();
            let all: Vec<usize> = (0..own.len()).filter(|&i| own[i] == Some(code)).collect();
            assert_eq!(places, all);
        }
        assert!(codes.of_cells[1].contains(&None) && !codes.of_cells[0].contains(&None));
    }
}

#[test]
fn the_released_mask_fault_hides_the_right_of_upright_pictures_when_asked_for() {
    let device = Device::flex();
    let upright = images(&[(64, 32)], &device);
    let broad = images(&[(32, 64), (32, 40)], &device);
    for (fault, hidden, padded) in [(false, 0, 2), (true, 4, 0)] {
        let config = SohoConfig {
            portrait_mask_fault: fault,
            ..small()
        };
        let soho = model(&config, &device);
        let count = |images: &PaddedImages, row: usize| {
            let mask = soho.cells(images, 1).unwrap().pad_mask;
            let mask: Vec<bool> = mask
                .slice(s![row..row + 1, ..])
                .into_data()
                .iter()
                .collect();
            mask.into_iter().filter(|m| *m).count()
        };
        assert_eq!(count(&upright, 0), hidden);
        assert_eq!(count(&broad, 1), padded);
    }
}

#[test]
fn pictures_of_which_nothing_is_left_are_an_error() {
    let device = Device::flex();
    let soho = model(&small(), &device);
    let error = soho.cells(&images(&[(8, 64)], &device), 1).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("8 x 64") && message.contains("at least 16 x 16"),
        "{message}"
    );
    assert!(soho.cells(&images(&[(16, 16)], &device), 1).is_ok());
}
