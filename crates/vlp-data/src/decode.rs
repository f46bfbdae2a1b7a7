//! Pictures from bytes: JPEG, PNG and WebP to 8-bit RGB, upright, within limits.

mod webp;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, metadata::Orientation};
use serde::{Deserialize, Serialize};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use crate::{DataError, Picture, memory};

/// Sizes a picture may have; checked before its pixels are decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Least width and height in pixels.
    pub min_side: usize,
    /// Greatest width and height in pixels.
    pub max_side: usize,
    /// Greatest number of pixels.
    pub max_pixels: usize,
}

impl Default for Limits {
    /// 1 to 16,384 pixels a side, 64 million pixels.
    fn default() -> Self {
        Self {
            min_side: 1,
            max_side: 16_384,
            max_pixels: 64_000_000,
        }
    }
}

impl Limits {
    /// Whether a size is within the limits.
    ///
    /// # Errors
    /// [`DataError::Limit`] with the size and the limit that it breaks.
    pub fn check(&self, width: usize, height: usize, name: &str) -> Result<(), DataError> {
        let broken = if width.min(height) < self.min_side.max(1) {
            format!("less than {} on a side", self.min_side.max(1))
        } else if width.max(height) > self.max_side {
            format!("more than {} on a side", self.max_side)
        } else if width.saturating_mul(height) > self.max_pixels {
            format!("more than {} pixels", self.max_pixels)
        } else {
            return Ok(());
        };
        Err(DataError::Limit {
            name: name.into(),
            reason: format!("{width}x{height} is {broken}"),
        })
    }
}

/// Decodes a JPEG, PNG or WebP, told apart by their first bytes whatever the file is called.
///
/// Grey, palette, 16-bit and CMYK pictures become 8-bit RGB; transparent pixels are laid on white; the EXIF orientation
/// is applied, so that width and height are those of the upright picture. An animated WebP is an error. `name` is for
/// messages.
///
/// # Errors
/// [`DataError::Limit`] outside `limits`, [`DataError::Decode`] for anything truncated, corrupt or of another kind.
pub fn decode_picture(bytes: &[u8], name: &str, limits: &Limits) -> Result<Picture, DataError> {
    let (picture, orientation) = decode_stored(bytes, name, limits)?;
    upright(picture, orientation, name)
}

/// The pixels as they are stored, and how EXIF says they are to be turned.
pub(crate) type Stored = (Picture, Orientation);

pub(crate) fn decode_stored(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
) -> Result<Stored, DataError> {
    memory::keep();
    match bytes {
        [0xff, 0xd8, 0xff, ..] => decode_jpeg(bytes, name, limits),
        [0x89, b'P', b'N', b'G', ..] => decode_png(bytes, name, limits),
        _ if is_webp(bytes) => webp::decode(bytes, name, limits),
        [] => Err(failed(name, "the file is empty")),
        _ => Err(failed(name, UNKNOWN)),
    }
}

fn is_webp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP".as_slice())
}

const UNKNOWN: &str = "neither a JPEG nor a PNG nor a WebP";

fn failed(name: &str, reason: impl ToString) -> DataError {
    DataError::Decode {
        name: name.into(),
        reason: reason.to_string(),
    }
}

/// Width and height of the upright picture, from its first bytes; nothing is decoded.
pub(crate) fn picture_size(bytes: &[u8], name: &str) -> Result<(usize, usize), DataError> {
    let ((width, height), orientation) = match bytes {
        [0xff, 0xd8, 0xff, ..] => {
            let (decoder, size) = jpeg_header(bytes, name)?;
            (size, jpeg_orientation(&decoder))
        }
        [0x89, b'P', b'N', b'G', ..] => {
            let mut decoder = png_header(bytes, name)?;
            let (width, height) = decoder.dimensions();
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            ((width as usize, height as usize), orientation)
        }
        _ if is_webp(bytes) => webp::header(bytes, name)?,
        _ => return Err(failed(name, UNKNOWN)),
    };
    Ok(match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    })
}

type Jpeg<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

fn jpeg_header<'a>(bytes: &'a [u8], name: &str) -> Result<(Jpeg<'a>, (usize, usize)), DataError> {
    // Strict: a truncated file is an error, not a half grey picture.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        // The format's own bound: `limits` are checked below, before any pixel is decoded.
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder
        .decode_headers()
        .map_err(|error| failed(name, format!("JPEG header: {error}")))?;
    let (width, height) = decoder
        .dimensions()
        .ok_or_else(|| failed(name, "JPEG without dimensions"))?;
    Ok((decoder, (width, height)))
}

fn jpeg_orientation(decoder: &Jpeg<'_>) -> Orientation {
    let chunk = decoder.exif();
    chunk
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms)
}

fn decode_jpeg(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let (mut decoder, (width, height)) = jpeg_header(bytes, name)?;
    limits.check(width, height, name)?;
    let orientation = jpeg_orientation(&decoder);
    let pixels = decoder
        .decode()
        .map_err(|error| failed(name, format!("JPEG data: {error}")))?;
    let rgb = match decoder.output_colorspace() {
        Some(ColorSpace::Luma) => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => pixels,
    };
    if rgb.len() != width * height * 3 {
        return Err(failed(name, "JPEG with an unknown number of channels"));
    }
    Ok((Picture { width, height, rgb }, orientation))
}

fn png_header<'a>(bytes: &'a [u8], name: &str) -> Result<impl ImageDecoder + use<'a>, DataError> {
    let reader = ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    reader
        .into_decoder()
        .map_err(|error| failed(name, format!("PNG: {error}")))
}

fn decode_png(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let mut decoder = png_header(bytes, name)?;
    let (width, height) = decoder.dimensions();
    limits.check(width as usize, height as usize, name)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((flatten(decoder, "PNG", name)?, orientation))
}

/// What a decoder of a size within limits gives, on white.
fn flatten(decoder: impl ImageDecoder, kind: &str, name: &str) -> Result<Picture, DataError> {
    let (width, height) = decoder.dimensions();
    let decoded = DynamicImage::from_decoder(decoder)
        .map_err(|error| failed(name, format!("{kind}: {error}")))?;
    let rgb = if decoded.color().has_alpha() {
        on_white(&decoded.into_rgba8().into_raw())
    } else {
        decoded.into_rgb8().into_raw()
    };
    Ok(Picture {
        width: width as usize,
        height: height as usize,
        rgb,
    })
}

/// Composes RGBA on white, rounded.
fn on_white(rgba: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(rgba.len() / 4 * 3);
    for pixel in rgba.chunks_exact(4) {
        let alpha = u16::from(pixel[3]);
        rgb.extend(
            pixel[..3]
                .iter()
                .map(|&c| ((u16::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8),
        );
    }
    rgb
}

/// Turns stored pixels the way up that EXIF says.
pub(crate) fn upright(
    picture: Picture,
    orientation: Orientation,
    name: &str,
) -> Result<Picture, DataError> {
    if orientation == Orientation::NoTransforms {
        return Ok(picture);
    }
    let (width, height) = (picture.width as u32, picture.height as u32);
    let buffer = image::RgbImage::from_raw(width, height, picture.rgb)
        .ok_or_else(|| failed(name, "size and pixels disagree"))?;
    let mut turned = DynamicImage::from(buffer);
    turned.apply_orientation(orientation);
    let (width, height) = (turned.width() as usize, turned.height() as usize);
    Ok(Picture {
        width,
        height,
        rgb: turned.into_rgb8().into_raw(),
    })
}
