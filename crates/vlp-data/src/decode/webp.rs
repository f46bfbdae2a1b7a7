//! WebP. The container is parsed here, because `image` allocates by sizes in the file before they are checked; `image`
//! decodes the pixels.

use std::io::Cursor;

use image::{ImageDecoder, codecs::webp::WebPDecoder, metadata::Orientation};

use super::{Stored, decode_error, decode_rgb};
use crate::{DataError, Limits};

/// Flags of the extended header (WebP container specification, "Extended File Format").
const EXIF: u8 = 0b1000;
const ANIMATION: u8 = 0b10;

/// Canvas size and orientation. The bytes may be a prefix of the file: 30 suffice without EXIF metadata, which follows the
/// pixels.
pub(super) fn header(bytes: &[u8], name: &str) -> Result<((usize, usize), Orientation), DataError> {
    let truncated = || decode_error(name, "WebP: the file ends early");
    let first = bytes.get(12..).and_then(chunk).ok_or_else(truncated)?;
    let (kind, payload) = (first.kind, first.payload);
    if kind != *b"VP8X" {
        let size = frame_size(kind, payload).ok_or_else(|| {
            decode_error(
                name,
                "WebP: the first chunk is truncated or none of VP8, VP8L and VP8X",
            )
        })?;
        return Ok((size, Orientation::NoTransforms));
    }
    let &[flags, _, _, _, w0, w1, w2, h0, h1, h2, ..] = payload else {
        return Err(truncated());
    };
    if flags & ANIMATION != 0 {
        return Err(decode_error(
            name,
            "an animated WebP; only still images are supported",
        ));
    }
    let side = |bytes: [u8; 3]| little_endian(&bytes) + 1;
    let size = (side([w0, w1, w2]), side([h0, h1, h2]));
    if flags & EXIF == 0 {
        return Ok((size, Orientation::NoTransforms));
    }
    let exif = chunks(&bytes[12..])
        .find(|chunk| chunk.kind == *b"EXIF")
        .filter(|chunk| chunk.payload.len() == chunk.len)
        .ok_or_else(truncated)?;
    // Some writers keep the prefix that EXIF has in JPEG files.
    let tiff = exif
        .payload
        .strip_prefix(b"Exif\0\0")
        .unwrap_or(exif.payload);
    let orientation = Orientation::from_exif_chunk(tiff);
    Ok((size, orientation.unwrap_or(Orientation::NoTransforms)))
}

pub(super) fn decode(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let ((width, height), orientation) = header(bytes, name)?;
    limits.check(width, height, name)?;
    // The decoder accepts truncated lossy images and allocates by the size of the frame.
    let declared_len = bytes.get(4..8).map_or(0, little_endian);
    let complete = bytes.len() >= declared_len.saturating_add(8)
        && chunks(&bytes[12..]).all(|chunk| chunk.payload.len() == chunk.len);
    if !complete {
        return Err(decode_error(name, "WebP: the file ends early"));
    }
    for chunk in chunks(&bytes[12..]) {
        if let Some((frame_width, frame_height)) = frame_size(chunk.kind, chunk.payload)
            && (frame_width, frame_height) != (width, height)
        {
            let reason = format!(
                "WebP: a frame of {frame_width}x{frame_height} on a canvas of {width}x{height}"
            );
            return Err(decode_error(name, reason));
        }
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes))
        .map_err(|error| decode_error(name, format!("WebP: {error}")))?;
    if decoder.dimensions() != (width as u32, height as u32) {
        return Err(decode_error(name, "WebP: inconsistent chunks"));
    }
    Ok((decode_rgb(decoder, "WebP", name)?, orientation))
}

/// A RIFF chunk; its payload is shorter than `len` if the file is truncated.
struct Chunk<'a> {
    kind: [u8; 4],
    len: usize,
    payload: &'a [u8],
}

fn chunk(bytes: &[u8]) -> Option<Chunk<'_>> {
    let (kind, rest) = bytes.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_at_checked(4)?;
    let len = little_endian(len);
    Some(Chunk {
        kind: *kind,
        len,
        payload: &rest[..len.min(rest.len())],
    })
}

/// Consecutive chunks; payloads are padded to even lengths.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    std::iter::from_fn(move || {
        let next = chunk(bytes)?;
        let end = (8 + next.len).saturating_add(next.len % 2);
        bytes = bytes.get(end..).unwrap_or_default();
        Some(next)
    })
}

fn little_endian(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | usize::from(byte))
}

/// Width and height in the header of a lossy (RFC 6386, section 9.1) or lossless frame.
fn frame_size(kind: [u8; 4], payload: &[u8]) -> Option<(usize, usize)> {
    match (&kind, payload) {
        (b"VP8 ", &[_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
            let side = |low, high| usize::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Some((side(w0, w1), side(h0, h1)))
        }
        (b"VP8L", &[0x2f, a, b, c, d, ..]) => {
            let bits = u32::from_le_bytes([a, b, c, d]) as usize;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        _ => None,
    }
}
