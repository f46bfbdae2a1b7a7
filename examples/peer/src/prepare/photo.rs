//! A image with the detail of a photograph, as a JPEG.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use rand::RngExt;

use super::SEED;
use crate::arrays::Arrays;
use crate::error::PeerError;

const WIDTH: usize = 640;
const HEIGHT: usize = 480;
const QUALITY: u8 = 90;

/// Waves of all lengths, long ones highest, and a little noise.
pub(super) fn jpeg(inputs: &mut Arrays) -> Result<(), PeerError> {
    let mut rng = vlp_data::rng(SEED, 0, 0, "photo");
    let waves: Vec<[f32; 5]> = (0..24)
        .map(|i| {
            let length = 640.0 / 1.2f32.powi(i);
            let turn = rng.random_range(0.0..std::f32::consts::TAU);
            let pitch = std::f32::consts::TAU / length;
            let shift = rng.random_range(0.0..std::f32::consts::TAU);
            let hue = rng.random_range(0.0..3.0);
            [
                pitch * turn.cos(),
                pitch * turn.sin(),
                shift,
                hue,
                40.0 / (i + 1) as f32,
            ]
        })
        .collect();
    let mut rgb = Vec::with_capacity(3 * WIDTH * HEIGHT);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            for channel in 0..3 {
                let light: f32 = waves
                    .iter()
                    .map(|[dx, dy, shift, hue, height]| {
                        let hue = 0.25 * (hue - channel as f32);
                        height * (dx * x as f32 + dy * y as f32 + shift + hue).sin()
                    })
                    .sum();
                let noise = rng.random_range(-4.0f32..4.0);
                rgb.push((120.0 + light + noise).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut file = vec![];
    let encoder = JpegEncoder::new_with_quality(&mut file, QUALITY);
    encoder
        .write_image(&rgb, WIDTH as u32, HEIGHT as u32, ExtendedColorType::Rgb8)
        .map_err(|e| PeerError::file("the image", e))?;
    inputs.put("jpeg", &[file.len()], &file);
    Ok(())
}
