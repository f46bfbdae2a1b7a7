//! Pixels as PNG in `data:` URIs.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::ImageError;

/// Errors unless the size is above 0 and `rgb` has `width * height * 3` bytes.
pub(crate) fn check_rgb(width: u32, height: u32, rgb: &[u8]) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::Empty { width, height });
    }
    // Saturating: no slice is as long as the largest u64, so a larger size is rejected as well.
    let expected = (u64::from(width) * u64::from(height)).saturating_mul(3);
    if rgb.len() as u64 != expected {
        return Err(ImageError::Bytes {
            width,
            height,
            expected,
            actual: rgb.len(),
        });
    }
    Ok(())
}

/// The image as a `data:image/png` URI; `rgb` has `width * height * 3` bytes, rows from the top.
pub(crate) fn rgb_data_uri(width: u32, height: u32, rgb: &[u8]) -> Result<String, ImageError> {
    check_rgb(width, height, rgb)?;
    data_uri(width, height, png::ColorType::Rgb, rgb)
}

/// `width * height` pixels as (red, green, blue, alpha) as a `data:image/png` URI.
pub(crate) fn rgba_data_uri(
    width: u32,
    height: u32,
    rgba: &[[u8; 4]],
) -> Result<String, ImageError> {
    data_uri(width, height, png::ColorType::Rgba, rgba.as_flattened())
}

fn data_uri(
    width: u32,
    height: u32,
    color_type: png::ColorType,
    samples: &[u8],
) -> Result<String, ImageError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color_type);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    writer.finish()?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(file)))
}

/// The image averaged down to at most `max_side` pixels on its longer edge, as (width, height, rgb).
///
/// `rgb` must have passed [`check_rgb`].
pub(crate) fn thumbnail(width: u32, height: u32, rgb: &[u8], max_side: u32) -> (u32, u32, Vec<u8>) {
    let longer = width.max(height);
    if longer <= max_side {
        return (width, height, rgb.to_vec());
    }
    let scaled =
        |edge: u32| (u64::from(edge) * u64::from(max_side) / u64::from(longer)).max(1) as u32;
    let (small_width, small_height) = (scaled(width), scaled(height));
    let source_range = |index: u32, source: u32, target: u32| {
        let edge = |i: u32| (u64::from(i) * u64::from(source) / u64::from(target)) as usize;
        edge(index)..edge(index + 1)
    };
    let mut small = Vec::with_capacity(small_width as usize * small_height as usize * 3);
    for y in 0..small_height {
        for x in 0..small_width {
            let rows = source_range(y, height, small_height);
            let columns = source_range(x, width, small_width);
            let count = (rows.len() * columns.len()) as u64;
            let mut sums = [0_u64; 3];
            for row in rows {
                for column in columns.clone() {
                    let offset = (row * width as usize + column) * 3;
                    for (sum, byte) in sums.iter_mut().zip(&rgb[offset..offset + 3]) {
                        *sum += u64::from(*byte);
                    }
                }
            }
            small.extend(sums.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    (small_width, small_height, small)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn decode(uri: &str) -> (u32, u32, Vec<u8>) {
        let base64 = uri.strip_prefix("data:image/png;base64,").unwrap();
        let file = STANDARD.decode(base64).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, info.height, rgb)
    }

    proptest! {
        #[test]
        fn encoded_pixels_are_decoded_unchanged((width, height, rgb) in (1_u32..20, 1_u32..20).prop_flat_map(|(w, h)| {
            (Just(w), Just(h), prop::collection::vec(any::<u8>(), (w * h * 3) as usize))
        })) {
            prop_assert_eq!(decode(&rgb_data_uri(width, height, &rgb).unwrap()), (width, height, rgb));
        }

        #[test]
        fn thumbnail_of_one_color_has_that_color(width in 1_u32..200, height in 1_u32..200, color: [u8; 3]) {
            let (w, h, small) = thumbnail(width, height, &color.repeat((width * height) as usize), 50);
            prop_assert!(w <= 50 && h <= 50 && w > 0 && h > 0);
            prop_assert_eq!(small, color.repeat((w * h) as usize));
        }
    }

    #[test]
    fn thumbnail_averages_pixels() {
        let rgb: Vec<u8> = [0, 100, 50, 51]
            .iter()
            .flat_map(|gray| [*gray; 3])
            .collect();
        assert_eq!(
            thumbnail(4, 1, &rgb, 2),
            (2, 1, vec![50, 50, 50, 51, 51, 51])
        );
    }

    #[test]
    fn wrong_sizes_are_rejected() {
        let message = |w, h, rgb: &[u8]| rgb_data_uri(w, h, rgb).unwrap_err().to_string();
        assert_eq!(
            message(2, 2, &[0; 4]),
            "4 bytes of RGB for 2x2 pixels; expected 12"
        );
        assert_eq!(
            message(0, 2, &[]),
            "size is 0x2 pixels; both must be above 0"
        );
        assert!(rgb_data_uri(u32::MAX, u32::MAX, &[0; 3]).is_err());
    }
}
