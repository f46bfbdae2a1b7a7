//! PNG. `image` decodes it, except for a palette on which its decoder panics.

use std::io::Cursor;

use image::{ImageDecoder, ImageReader, metadata::Orientation};

use super::{Stored, decode_error, decode_rgb};
use crate::{DataError, Limits};

/// Bytes before the first chunk.
const SIGNATURE: usize = 8;

/// A decoder that has read what is before the pixels.
fn header<'a>(bytes: &'a [u8], name: &str) -> Result<impl ImageDecoder + use<'a>, DataError> {
    if let Some(len) = palette_len(bytes)
        && len % 3 != 0
    {
        let reason = format!("PNG: a palette of {len} bytes; it must have three for each color");
        return Err(decode_error(name, reason));
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    reader
        .into_decoder()
        .map_err(|error| decode_error(name, format!("PNG: {error}")))
}

/// Stored width and height, and orientation.
pub(super) fn size(bytes: &[u8], name: &str) -> Result<((usize, usize), Orientation), DataError> {
    let mut decoder = header(bytes, name)?;
    let (width, height) = decoder.dimensions();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok(((width as usize, height as usize), orientation))
}

pub(super) fn decode(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let mut decoder = header(bytes, name)?;
    let (width, height) = decoder.dimensions();
    limits.check(width as usize, height as usize, name)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decode_rgb(decoder, "PNG", name)?, orientation))
}

/// Length of the palette in bytes, if there is one before the pixels.
fn palette_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes.get(SIGNATURE..)?;
    loop {
        let (len, after) = rest.split_first_chunk()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let len = u32::from_be_bytes(*len) as usize;
        match kind {
            b"PLTE" => return Some(len),
            b"IDAT" | b"IEND" => return None,
            // The checksum follows the data.
            _ => rest = after.get(len.checked_add(4)?..)?,
        }
    }
}
