//! BMP, decoded by `image`.

use std::io::Cursor;

use image::{ImageDecoder, codecs::bmp::BmpDecoder, metadata::Orientation};

use super::{Stored, decode_error, decode_rgb};
use crate::{DataError, Limits};

/// A decoder that has read what is before the pixels.
fn header<'a>(bytes: &'a [u8], name: &str) -> Result<BmpDecoder<Cursor<&'a [u8]>>, DataError> {
    BmpDecoder::new(Cursor::new(bytes)).map_err(|error| decode_error(name, format!("BMP: {error}")))
}

/// Width and height.
pub(super) fn size(bytes: &[u8], name: &str) -> Result<(usize, usize), DataError> {
    let (width, height) = header(bytes, name)?.dimensions();
    Ok((width as usize, height as usize))
}

pub(super) fn decode(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let decoder = header(bytes, name)?;
    let (width, height) = decoder.dimensions();
    limits.check(width as usize, height as usize, name)?;
    Ok((decode_rgb(decoder, "BMP", name)?, Orientation::NoTransforms))
}
