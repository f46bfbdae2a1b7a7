//! Batches of different sizes: packing, masks, positions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::{distance, host, noise};
use vlp_vision::padded::ImageView;
use vlp_vision::{PaddedImages, VisionError, resize_mask, sine_positions};

fn masks<const D: usize>(mask: Tensor<D, Bool>) -> Vec<bool> {
    mask.into_data().iter().collect()
}

#[test]
fn every_pixel_is_at_its_place_and_the_rest_is_zero_and_masked() {
    let device = Device::flex();
    let sizes = [(5, 7), (8, 3), (1, 1)];
    let pixels: Vec<Vec<f32>> = sizes
        .iter()
        .enumerate()
        .map(|(i, (h, w))| noise(3 * h * w, i as u64))
        .collect();
    for multiple in [0, 1, 4, 32] {
        let views: Vec<ImageView<'_>> = sizes
            .iter()
            .zip(&pixels)
            .map(|(&(height, width), pixels)| ImageView {
                pixels,
                height,
                width,
            })
            .collect();
        let batch = PaddedImages::pack(&views, multiple, &device).unwrap();
        let [n, c, h, w] = batch.pixels.dims();
        let round = |v: usize| v.div_ceil(multiple.max(1)) * multiple.max(1);
        assert_eq!([n, c, h, w], [3, 3, round(8), round(7)]);
        let (found, mask) = (host(batch.pixels), masks(batch.pad_mask));
        for (i, view) in views.iter().enumerate() {
            for (row, column) in (0..h).flat_map(|r| (0..w).map(move |c| (r, c))) {
                let valid = row < view.height && column < view.width;
                assert_eq!(mask[(i * h + row) * w + column], !valid);
                for channel in 0..3 {
                    let want = if valid {
                        view.pixels[(channel * view.height + row) * view.width + column]
                    } else {
                        0.0
                    };
                    assert_eq!(found[((i * 3 + channel) * h + row) * w + column], want);
                }
            }
        }
    }
}

#[test]
fn broken_batches_are_named() {
    let device = Device::flex();
    assert_eq!(
        PaddedImages::pack(&[], 1, &device).unwrap_err(),
        VisionError::EmptyBatch
    );
    let (good, short) = ([0.0; 12], [0.0; 11]);
    let view = |pixels, height, width| ImageView {
        pixels,
        height,
        width,
    };
    let images = [view(&good[..], 2, 2), view(&short[..], 2, 2)];
    let message = PaddedImages::pack(&images, 1, &device)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("image 1") && message.contains("11 values for 3 x 2 x 2"),
        "{message}"
    );
    let message = PaddedImages::pack(&[view(&[], 0, 4)], 1, &device)
        .unwrap_err()
        .to_string();
    assert!(message.contains("at least 1 x 1"), "{message}");
}

#[test]
fn a_mask_at_full_size_is_itself_and_never_loses_a_picture() {
    let device = Device::flex();
    for (h, w) in [(1, 1), (7, 90), (64, 33)] {
        let pixels = vec![0.0; 3 * h * w];
        let view = ImageView {
            pixels: &pixels,
            height: h,
            width: w,
        };
        let wide = vec![0.0; 3 * 64 * 96];
        let other = ImageView {
            pixels: &wide,
            height: 64,
            width: 96,
        };
        let mask = PaddedImages::pack(&[view, other], 1, &device)
            .unwrap()
            .pad_mask;
        assert_eq!(
            masks(resize_mask(mask.clone(), [64, 96])),
            masks(mask.clone())
        );
        for size in [[1, 1], [2, 3], [4, 6], [5, 7]] {
            let small = masks(resize_mask(mask.clone(), size));
            let cells = size[0] * size[1];
            assert!(!small[0], "the first cell is valid for every picture");
            assert!(
                small[cells..].iter().all(|masked| !masked),
                "nothing of the full picture is masked"
            );
        }
    }
}

#[test]
fn positions_of_valid_cells_do_not_see_the_padding() {
    let device = Device::flex();
    let mask = |h: usize, w: usize, height: usize, width: usize| {
        let at: Vec<bool> = (0..height * width)
            .map(|i| i / width >= h || i % width >= w)
            .collect();
        Tensor::<3, Bool>::from_data(
            burn::tensor::TensorData::new(at, [1, height, width]),
            &device,
        )
    };
    for (h, w) in [(1, 1), (3, 5), (6, 2)] {
        let alone = sine_positions(mask(h, w, h, w), 32);
        for (height, width) in [(6, 5), (13, 9)] {
            let padded = sine_positions(mask(h, w, height, width), 32).slice(s![.., 0..h, 0..w]);
            assert_eq!(distance(alone.clone(), padded), 0.0);
        }
    }
}

#[test]
fn positions_tell_cells_apart() {
    let device = Device::flex();
    let valid = Tensor::<3>::zeros([1, 12, 17], &device).greater_elem(0.5);
    let rows = host(sine_positions(valid, 64));
    let rows: Vec<&[f32]> = rows.chunks(64).collect();
    for i in 0..rows.len() {
        for j in 0..i {
            let apart: f32 = rows[i]
                .iter()
                .zip(rows[j])
                .map(|(a, b)| (a - b).abs())
                .sum();
            assert!(apart > 0.1, "cells {i} and {j}");
        }
    }
}
