//! PNG files and `data:` addresses.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::PictureError;

/// A PNG file of 8-bit RGB pixels.
///
/// `rgb` holds `width * height * 3` bytes, rows from the top.
///
/// # Errors
/// [`PictureError::Empty`] for a size of 0, [`PictureError::Bytes`] for another number of bytes.
///
/// ```
/// let file = vlp_draw::png(2, 1, &[255, 0, 0, 0, 0, 255])?;
/// assert!(file.starts_with(b"\x89PNG"));
/// # Ok::<(), vlp_draw::PictureError>(())
/// ```
pub fn png(width: u32, height: u32, rgb: &[u8]) -> Result<Vec<u8>, PictureError> {
    check(width, height, rgb)?;
    encode(width, height, png::ColorType::Rgb, rgb)
}

/// Errors unless the size is above 0 and `rgb` holds its bytes.
pub(crate) fn check(width: u32, height: u32, rgb: &[u8]) -> Result<(), PictureError> {
    if width == 0 || height == 0 {
        return Err(PictureError::Empty { width, height });
    }
    // Saturating: no slice is as long as the largest u64, so a size beyond it is refused as well.
    let expected = (u64::from(width) * u64::from(height)).saturating_mul(3);
    if rgb.len() as u64 != expected {
        return Err(PictureError::Bytes {
            width,
            height,
            expected,
            actual: rgb.len(),
        });
    }
    Ok(())
}

/// A PNG file of 8-bit samples whose number is already known to be right.
fn encode(
    width: u32,
    height: u32,
    colour: png::ColorType,
    samples: &[u8],
) -> Result<Vec<u8>, PictureError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    writer.finish()?;
    Ok(file)
}

/// The picture as a `data:image/png` address.
pub(crate) fn data_uri(width: u32, height: u32, rgb: &[u8]) -> Result<String, PictureError> {
    Ok(uri(&png(width, height, rgb)?))
}

/// Pixels with opacity (red, green, blue, alpha) as a `data:image/png` address.
pub(crate) fn rgba_uri(width: u32, height: u32, rgba: &[[u8; 4]]) -> Result<String, PictureError> {
    let samples = rgba.as_flattened();
    Ok(uri(&encode(width, height, png::ColorType::Rgba, samples)?))
}

fn uri(file: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(file))
}

/// The picture averaged down to at most `side` pixels on its longer edge, as (width, height, rgb).
///
/// `rgb` must have the length that [`png`] asks for.
pub(crate) fn thumbnail(width: u32, height: u32, rgb: &[u8], side: u32) -> (u32, u32, Vec<u8>) {
    let longer = width.max(height);
    if longer <= side {
        return (width, height, rgb.to_vec());
    }
    let scaled = |edge: u32| (u64::from(edge) * u64::from(side) / u64::from(longer)).max(1) as u32;
    let (to_width, to_height) = (scaled(width), scaled(height));
    let span = |at: u32, from: u32, to: u32| {
        let edge = |i: u32| (u64::from(i) * u64::from(from) / u64::from(to)) as usize;
        edge(at)..edge(at + 1)
    };
    let mut small = Vec::with_capacity(to_width as usize * to_height as usize * 3);
    for y in 0..to_height {
        for x in 0..to_width {
            let (rows, columns) = (span(y, height, to_height), span(x, width, to_width));
            let count = (rows.len() * columns.len()) as u64;
            let mut sums = [0_u64; 3];
            for row in rows {
                for column in columns.clone() {
                    let at = (row * width as usize + column) * 3;
                    for (sum, byte) in sums.iter_mut().zip(&rgb[at..at + 3]) {
                        *sum += u64::from(*byte);
                    }
                }
            }
            small.extend(sums.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    (to_width, to_height, small)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, info.height, rgb)
    }

    proptest! {
        #[test]
        fn pixels_survive((width, height, rgb) in (1_u32..20, 1_u32..20).prop_flat_map(|(w, h)| {
            (Just(w), Just(h), prop::collection::vec(any::<u8>(), (w * h * 3) as usize))
        })) {
            prop_assert_eq!(decode(&png(width, height, &rgb).unwrap()), (width, height, rgb));
        }

        #[test]
        fn thumbnails_keep_flat_colours(width in 1_u32..200, height in 1_u32..200, colour: [u8; 3]) {
            let (w, h, small) = thumbnail(width, height, &colour.repeat((width * height) as usize), 50);
            prop_assert!(w <= 50 && h <= 50 && w > 0 && h > 0);
            prop_assert_eq!(small, colour.repeat((w * h) as usize));
        }
    }

    #[test]
    fn thumbnails_average() {
        let rgb: Vec<u8> = [0, 100, 50, 51]
            .iter()
            .flat_map(|grey| [*grey; 3])
            .collect();
        assert_eq!(
            thumbnail(4, 1, &rgb, 2),
            (2, 1, vec![50, 50, 50, 51, 51, 51])
        );
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let message = |w, h, rgb: &[u8]| png(w, h, rgb).unwrap_err().to_string();
        assert_eq!(
            message(2, 2, &[0; 4]),
            "4 bytes of RGB for 2x2 pixels; 12 are right"
        );
        assert_eq!(
            message(0, 2, &[]),
            "size is 0x2 pixels; both must be above 0"
        );
        assert!(png(u32::MAX, u32::MAX, &[0; 3]).is_err());
    }
}
