//! Decoding of JPEG, PNG, WebP, GIF, BMP and ICO to upright 8-bit RGB, with limits on the size.

mod bmp;
mod format;
mod gif;
mod ico;
mod png;
mod webp;

use getset::WithSetters;
use image::{DynamicImage, ImageDecoder, metadata::Orientation};
use serde::{Deserialize, Serialize};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

pub(crate) use format::Format;
pub use format::IMAGE_EXTENSIONS;

use crate::{DataError, Image, memory};

/// Maximum width and height in pixels, of image files by default and after a resize.
pub(crate) const MAX_SIDE: usize = 16_384;

/// Limits of image sizes; checked before pixels are decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Minimum width and height in pixels.
    pub min_side: usize,
    /// Maximum width and height in pixels.
    pub max_side: usize,
    /// Maximum number of pixels.
    pub max_pixels: usize,
}

impl Default for Limits {
    /// 1 to 16,384 pixels per side, 64 million pixels.
    fn default() -> Self {
        Self {
            min_side: 1,
            max_side: MAX_SIDE,
            max_pixels: 64_000_000,
        }
    }
}

impl Limits {
    /// Checks a size.
    ///
    /// # Errors
    /// [`DataError::Limit`] with the size and the violated limit.
    pub fn check(&self, width: usize, height: usize, name: &str) -> Result<(), DataError> {
        let problem = if width.min(height) < self.min_side.max(1) {
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
            reason: format!("{width}x{height} is {problem}"),
        })
    }
}

/// Decodes a JPEG, PNG, WebP, GIF, BMP or ICO file; the format is detected by the first bytes.
///
/// Gray, palette, 16-bit and CMYK images are converted to 8-bit RGB, transparent pixels are composited on white, and the
/// EXIF orientation is applied, so that width and height are those of the upright image. Of a GIF it is the first frame, of
/// an ICO the largest image, as in PIL. `name` is for messages.
///
/// # Errors
/// [`DataError::Limit`] outside `limits`, [`DataError::Decode`] if the file is truncated, corrupt, an animated WebP or of
/// another format.
pub fn decode_image(bytes: &[u8], name: &str, limits: &Limits) -> Result<Image, DataError> {
    let (image, orientation) = decode_stored(bytes, name, limits)?;
    apply_orientation(image, orientation, name)
}

/// The stored pixels and the EXIF orientation that makes them upright.
pub(crate) type Stored = (Image, Orientation);

pub(crate) fn decode_stored(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
) -> Result<Stored, DataError> {
    memory::reuse_freed_blocks();
    match Format::of(bytes) {
        Some(Format::Jpeg) => decode_jpeg(bytes, name, limits),
        Some(Format::Png) => png::decode(bytes, name, limits),
        Some(Format::WebP) => webp::decode(bytes, name, limits),
        Some(Format::Gif) => gif::decode(bytes, name, limits),
        Some(Format::Bmp) => bmp::decode(bytes, name, limits),
        Some(Format::Ico) => ico::decode(bytes, name, limits),
        None if bytes.is_empty() => Err(decode_error(name, "the file is empty")),
        None => Err(decode_error(name, UNKNOWN_FORMAT)),
    }
}

const UNKNOWN_FORMAT: &str = "not a JPEG, PNG, WebP, GIF, BMP or ICO file";

fn decode_error(name: &str, reason: impl ToString) -> DataError {
    DataError::Decode {
        name: name.into(),
        reason: reason.to_string(),
    }
}

/// Width and height of the upright image, from the first bytes of the file.
pub(crate) fn image_size(bytes: &[u8], name: &str) -> Result<(usize, usize), DataError> {
    let ((width, height), orientation) = match Format::of(bytes) {
        Some(Format::Jpeg) => {
            let (decoder, size) = jpeg_header(bytes, name)?;
            (size, jpeg_orientation(&decoder))
        }
        Some(Format::Png) => png::size(bytes, name)?,
        Some(Format::WebP) => webp::header(bytes, name)?,
        Some(Format::Gif) => (gif::size(bytes, name)?, Orientation::NoTransforms),
        Some(Format::Bmp) => (bmp::size(bytes, name)?, Orientation::NoTransforms),
        Some(Format::Ico) => ico::header(bytes, name)?,
        None => return Err(decode_error(name, UNKNOWN_FORMAT)),
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
    // Strict mode, because otherwise a truncated file decodes to a partly gray image.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        // The maximum of the format; `limits` are checked before any pixel is decoded.
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder
        .decode_headers()
        .map_err(|error| decode_error(name, format!("JPEG header: {error}")))?;
    let (width, height) = decoder
        .dimensions()
        .ok_or_else(|| decode_error(name, "JPEG without dimensions"))?;
    Ok((decoder, (width, height)))
}

fn jpeg_orientation(decoder: &Jpeg<'_>) -> Orientation {
    let exif = decoder.exif();
    exif.and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms)
}

fn decode_jpeg(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let (mut decoder, (width, height)) = jpeg_header(bytes, name)?;
    limits.check(width, height, name)?;
    let orientation = jpeg_orientation(&decoder);
    let pixels = decoder
        .decode()
        .map_err(|error| decode_error(name, format!("JPEG data: {error}")))?;
    let rgb = match decoder.output_colorspace() {
        Some(ColorSpace::Luma) => pixels.iter().flat_map(|&gray| [gray; 3]).collect(),
        _ => pixels,
    };
    if rgb.len() != width * height * 3 {
        return Err(decode_error(
            name,
            "JPEG with an unknown number of channels",
        ));
    }
    Ok((Image { width, height, rgb }, orientation))
}

/// Decodes to RGB on white; the size was checked before.
fn decode_rgb(decoder: impl ImageDecoder, format: &str, name: &str) -> Result<Image, DataError> {
    let (width, height) = decoder.dimensions();
    let decoded = DynamicImage::from_decoder(decoder)
        .map_err(|error| decode_error(name, format!("{format}: {error}")))?;
    let rgb = if decoded.color().has_alpha() {
        composite_on_white(&decoded.into_rgba8().into_raw())
    } else {
        decoded.into_rgb8().into_raw()
    };
    Ok(Image {
        width: width as usize,
        height: height as usize,
        rgb,
    })
}

/// Composites RGBA on white with rounding.
fn composite_on_white(rgba: &[u8]) -> Vec<u8> {
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

/// Transforms stored pixels by their EXIF orientation.
pub(crate) fn apply_orientation(
    image: Image,
    orientation: Orientation,
    name: &str,
) -> Result<Image, DataError> {
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    let (width, height) = (image.width as u32, image.height as u32);
    let buffer = image::RgbImage::from_raw(width, height, image.rgb)
        .ok_or_else(|| decode_error(name, "the number of pixels does not match the size"))?;
    let mut upright = DynamicImage::from(buffer);
    upright.apply_orientation(orientation);
    let (width, height) = (upright.width() as usize, upright.height() as usize);
    Ok(Image {
        width,
        height,
        rgb: upright.into_rgb8().into_raw(),
    })
}
