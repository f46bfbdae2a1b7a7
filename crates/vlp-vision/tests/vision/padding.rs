//! Batches of images of different sizes: collation, masks, positions.

use crate::common::{max_abs_diff, noise, to_cpu};
use burn::prelude::*;
use vlp_vision::padded::ImageView;
use vlp_vision::{PaddedImages, VisionError, resize_mask, sine_positions};

fn to_bools<const D: usize>(mask: Tensor<D, Bool>) -> Vec<bool> {
    mask.into_data().iter().collect()
}

#[test]
fn pixels_are_copied_and_padding_is_zero_and_masked() {
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
        let batch = PaddedImages::collate(&views, multiple, &device).unwrap();
        let [n, c, h, w] = batch.pixels.dims();
        let round = |size: usize| size.next_multiple_of(multiple.max(1));
        assert_eq!([n, c, h, w], [3, 3, round(8), round(7)]);
        let (pixels, mask) = (to_cpu(batch.pixels), to_bools(batch.pad_mask));
        for (i, view) in views.iter().enumerate() {
            for (row, column) in (0..h).flat_map(|r| (0..w).map(move |c| (r, c))) {
                let valid = row < view.height && column < view.width;
                assert_eq!(mask[(i * h + row) * w + column], !valid);
                for channel in 0..3 {
                    let expected = if valid {
                        view.pixels[(channel * view.height + row) * view.width + column]
                    } else {
                        0.0
                    };
                    assert_eq!(pixels[((i * 3 + channel) * h + row) * w + column], expected);
                }
            }
        }
    }
}

#[test]
fn invalid_batches_are_errors() {
    let device = Device::flex();
    assert_eq!(
        PaddedImages::collate(&[], 1, &device).unwrap_err(),
        VisionError::EmptyBatch
    );
    let (valid, short) = ([0.0; 12], [0.0; 11]);
    let view = |pixels, height, width| ImageView {
        pixels,
        height,
        width,
    };
    let images = [view(&valid[..], 2, 2), view(&short[..], 2, 2)];
    let message = PaddedImages::collate(&images, 1, &device)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("image 1") && message.contains("11 values for 3 x 2 x 2"),
        "{message}"
    );
    let message = PaddedImages::collate(&[view(&[], 0, 4)], 1, &device)
        .unwrap_err()
        .to_string();
    assert!(message.contains("at least 1 x 1"), "{message}");
}

#[test]
fn resized_masks_keep_every_image_visible() {
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
        let mask = PaddedImages::collate(&[view, other], 1, &device)
            .unwrap()
            .pad_mask;
        assert_eq!(
            to_bools(resize_mask(mask.clone(), [64, 96])),
            to_bools(mask.clone())
        );
        for size in [[1, 1], [2, 3], [4, 6], [5, 7]] {
            let small = to_bools(resize_mask(mask.clone(), size));
            let area = size[0] * size[1];
            assert!(!small[0], "the first grid feature of the padded image");
            assert!(
                small[area..].iter().all(|masked| !masked),
                "the other image has no padding"
            );
        }
    }
}

#[test]
fn positions_do_not_depend_on_padding() {
    let device = Device::flex();
    let mask = |h: usize, w: usize, height: usize, width: usize| {
        let values: Vec<bool> = (0..height * width)
            .map(|i| i / width >= h || i % width >= w)
            .collect();
        Tensor::<3, Bool>::from_data(
            burn::tensor::TensorData::new(values, [1, height, width]),
            &device,
        )
    };
    for (h, w) in [(1, 1), (3, 5), (6, 2)] {
        let unpadded = sine_positions(mask(h, w, h, w), 32);
        for (height, width) in [(6, 5), (13, 9)] {
            let padded = sine_positions(mask(h, w, height, width), 32).slice(s![.., 0..h, 0..w]);
            assert_eq!(max_abs_diff(unpadded.clone(), padded), 0.0);
        }
    }
}

#[test]
fn positions_are_distinct() {
    let device = Device::flex();
    let valid = Tensor::<3>::zeros([1, 12, 17], &device).greater_elem(0.5);
    let positions = to_cpu(sine_positions(valid, 64));
    let positions: Vec<&[f32]> = positions.chunks(64).collect();
    for i in 0..positions.len() {
        for j in 0..i {
            let distance: f32 = positions[i]
                .iter()
                .zip(positions[j])
                .map(|(a, b)| (a - b).abs())
                .sum();
            assert!(distance > 0.1, "{i} and {j}");
        }
    }
}

#[test]
#[should_panic(expected = "dim = 6 is not a multiple of 4")]
fn positions_need_a_multiple_of_four_channels() {
    let valid = Tensor::<3>::zeros([1, 2, 2], &Device::flex()).greater_elem(0.5);
    sine_positions(valid, 6);
}
