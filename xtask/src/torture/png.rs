//! PNG files that are changed, with the checksums of what they then say.

use crate::processes::random::Random;

/// Offset of the chunk `IHDR`: its length, its name, width and height, and so on.
const HEADER: usize = 8;
/// Length of the signature and `IHDR`.
pub(super) const HEADER_END: usize = HEADER + 25;

/// The file with another width and height in its header, whose checksum is right.
pub(super) fn with_size(png: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png.to_vec();
    bytes[HEADER + 8..HEADER + 12].copy_from_slice(&width.to_be_bytes());
    bytes[HEADER + 12..HEADER + 16].copy_from_slice(&height.to_be_bytes());
    with_header_checksum(bytes)
}

/// The file with another byte at a place in the header (8 is the depth, 9 the kind of colors), whose checksum is right.
pub(super) fn with_header_byte(png: &[u8], place: usize, value: u8) -> Vec<u8> {
    let mut bytes = png.to_vec();
    bytes[HEADER + 8 + place] = value;
    with_header_checksum(bytes)
}

fn with_header_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32(&bytes[HEADER + 4..HEADER + 21]);
    bytes[HEADER + 21..HEADER_END].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// An image of noise, not compressed.
pub(super) fn noise(
    width: usize,
    height: usize,
    random: &mut Random,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut pixels = vec![0; 3 * width * height];
    pixels.fill_with(|| random.below(256) as u8);
    let mut file = vec![];
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::NoCompression);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// CRC-32 of zip and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xEDB8_8320,
            _ => crc >> 1,
        })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
