//! WebP: the container by hand, because sizes and metadata must be known to be sound before anything is allocated for
//! them; the pixels by `image`.

use std::io::Cursor;

use image::{ImageDecoder, codecs::webp::WebPDecoder, metadata::Orientation};

use super::{Stored, failed, flatten};
use crate::{DataError, Limits};

/// Flags of the extended header (WebP container specification, "Extended File Format").
const EXIF: u8 = 0b1000;
const ANIMATION: u8 = 0b10;

/// Canvas size and orientation. The bytes may end after what tells them; that is the first 30 unless there is EXIF, which
/// stands behind the pixels.
pub(super) fn header(bytes: &[u8], name: &str) -> Result<((usize, usize), Orientation), DataError> {
    let short = || failed(name, "WebP: the file ends early");
    let first = bytes.get(12..).and_then(chunk).ok_or_else(short)?;
    let (kind, payload) = (first.kind, first.payload);
    if kind != *b"VP8X" {
        let size = frame_size(kind, payload).ok_or_else(|| {
            failed(
                name,
                "WebP: the first chunk is none of VP8, VP8L and VP8X, or is cut",
            )
        })?;
        return Ok((size, Orientation::NoTransforms));
    }
    let &[flags, _, _, _, w0, w1, w2, h0, h1, h2, ..] = payload else {
        return Err(short());
    };
    if flags & ANIMATION != 0 {
        return Err(failed(name, "an animated WebP; one picture is wanted"));
    }
    let side = |bytes: [u8; 3]| {
        bytes
            .iter()
            .rev()
            .fold(0, |all, &b| all << 8 | usize::from(b))
            + 1
    };
    let size = (side([w0, w1, w2]), side([h0, h1, h2]));
    if flags & EXIF == 0 {
        return Ok((size, Orientation::NoTransforms));
    }
    let exif = chunks(&bytes[12..])
        .find(|chunk| chunk.kind == *b"EXIF")
        .filter(|chunk| chunk.payload.len() == chunk.len)
        .ok_or_else(short)?;
    // Some writers keep JPEG's prefix.
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
    // The decoder takes a cut lossy picture for a whole one, and allocates by the frame's own size.
    let declared = bytes.get(4..8).map_or(0, length);
    let whole = bytes.len() >= declared.saturating_add(8)
        && chunks(&bytes[12..]).all(|chunk| chunk.payload.len() == chunk.len);
    if !whole {
        return Err(failed(name, "WebP: the file ends early"));
    }
    for chunk in chunks(&bytes[12..]) {
        if let Some((own_width, own_height)) = frame_size(chunk.kind, chunk.payload)
            && (own_width, own_height) != (width, height)
        {
            let reason = format!(
                "WebP: a frame of {own_width}x{own_height} on a canvas of {width}x{height}"
            );
            return Err(failed(name, reason));
        }
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes))
        .map_err(|error| failed(name, format!("WebP: {error}")))?;
    if decoder.dimensions() != (width as u32, height as u32) {
        return Err(failed(name, "WebP: chunks that contradict each other"));
    }
    Ok((flatten(decoder, "WebP", name)?, orientation))
}

/// A chunk; its payload is shorter than `len` where the bytes end.
struct Chunk<'a> {
    kind: [u8; 4],
    len: usize,
    payload: &'a [u8],
}

fn chunk(bytes: &[u8]) -> Option<Chunk<'_>> {
    let (kind, rest) = bytes.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_at_checked(4)?;
    let len = length(len);
    Some(Chunk {
        kind: *kind,
        len,
        payload: &rest[..len.min(rest.len())],
    })
}

/// All chunks from a place on; payloads are padded to even lengths.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    std::iter::from_fn(move || {
        let next = chunk(bytes)?;
        let end = (8 + next.len).saturating_add(next.len % 2);
        bytes = bytes.get(end..).unwrap_or_default();
        Some(next)
    })
}

fn length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .fold(0, |all, &b| all << 8 | usize::from(b))
}

/// Width and height in the header of a lossy (RFC 6386, 9.1) or lossless frame.
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
