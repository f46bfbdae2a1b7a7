//! Images of colors.

use base64::{Engine, engine::general_purpose::STANDARD};
use vlp_data::Image;

/// An image of one color.
pub(crate) fn image(width: usize, height: usize, color: usize) -> Image {
    let mut rgb = [20; 3];
    rgb[color] = 200;
    Image::filled(width, height, rgb)
}

/// A PNG file of [`image`], in base64.
pub(crate) fn base64_png(width: usize, height: usize, color: usize) -> String {
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    let image = image(width, height, color);
    writer.write_image_data(&image.rgb).unwrap();
    writer.finish().unwrap();
    STANDARD.encode(file)
}

/// The fraction of each channel.
pub(crate) fn fractions(image: &Image) -> [f32; 3] {
    let mut sums = [0.0; 3];
    for pixel in image.rgb.chunks_exact(3) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += f32::from(*value);
        }
    }
    let total: f32 = sums.iter().sum();
    sums.map(|sum| sum / total)
}

/// Channels with their fractions, the greatest first.
pub(crate) fn order(image: &Image) -> Vec<(usize, f32)> {
    let mut order: Vec<(usize, f32)> = fractions(image).into_iter().enumerate().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    order
}
