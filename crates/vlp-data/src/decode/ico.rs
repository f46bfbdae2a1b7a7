//! ICO: the image that PIL takes, which is the largest. It is a PNG, or a bitmap without a file header, which `image` decodes.

use std::{cmp::Reverse, io::Cursor};

use image::{ImageDecoder, codecs::ico::IcoDecoder, metadata::Orientation};

use super::{Format, Stored, decode_error, decode_rgb, png};
use crate::{DataError, Limits};

/// Bytes before the entries, and of each of them.
const HEADER: usize = 6;
const ENTRY: usize = 16;

/// The image that is taken; the bytes start with it and may have others after it.
enum Taken<'a> {
    Png(&'a [u8]),
    Bitmap {
        entry: &'a [u8; ENTRY],
        bytes: &'a [u8],
    },
}

/// The entry of the largest image; of several, the one with the fewest colors; of several, the first.
fn largest<'a>(bytes: &'a [u8], name: &str) -> Result<&'a [u8; ENTRY], DataError> {
    let truncated = || decode_error(name, "ICO: the file ends within its list of images");
    let &[_, _, _, _, n0, n1] = bytes.first_chunk::<HEADER>().ok_or_else(truncated)?;
    let count = usize::from(u16::from_le_bytes([n0, n1]));
    let entries = bytes.get(HEADER..HEADER + count * ENTRY);
    let (entries, _) = entries.ok_or_else(truncated)?.as_chunks::<ENTRY>();
    let order = |entry: &&[u8; ENTRY]| {
        // 256 is stored as 0.
        let side = |side: u8| if side == 0 { 256 } else { u32::from(side) };
        let &&[w, h, colors, _, _, _, d0, d1, ..] = entry;
        let depth = match (u16::from_le_bytes([d0, d1]), colors) {
            (0, 0 | 1) => 256,
            (0, colors) => u16::from(colors).next_power_of_two().trailing_zeros(),
            (depth, _) => u32::from(depth),
        };
        (Reverse(side(w) * side(h)), depth)
    };
    let entry = entries.iter().min_by_key(order);
    entry.ok_or_else(|| decode_error(name, "ICO: no image"))
}

fn taken<'a>(bytes: &'a [u8], name: &str) -> Result<Taken<'a>, DataError> {
    let entry = largest(bytes, name)?;
    let &[.., o0, o1, o2, o3] = entry;
    let offset = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
    let bytes = bytes.get(offset..).unwrap_or_default();
    Ok(match Format::of(bytes) {
        Some(Format::Png) => Taken::Png(bytes),
        _ => Taken::Bitmap { entry, bytes },
    })
}

/// Width and height of a bitmap by its own header, whose height includes a mask of equal height.
fn bitmap_size(bytes: &[u8], name: &str) -> Result<(usize, usize), DataError> {
    let truncated = || decode_error(name, "ICO: the file ends before its largest image");
    let &[l0, l1, l2, l3, ref sides @ ..] = bytes.first_chunk::<12>().ok_or_else(truncated)?;
    let &[a, b, c, d, e, f, g, h] = sides;
    let [width, height] = match u32::from_le_bytes([l0, l1, l2, l3]) {
        12 => [[a, b], [c, d]].map(|side| u32::from(u16::from_le_bytes(side))),
        _ => [[a, b, c, d], [e, f, g, h]].map(|side| i32::from_le_bytes(side).unsigned_abs()),
    };
    Ok((width as usize, height as usize / 2))
}

/// Width, height and orientation. The bytes may be a prefix of the file that has the header of the largest image.
pub(super) fn header(bytes: &[u8], name: &str) -> Result<((usize, usize), Orientation), DataError> {
    match taken(bytes, name)? {
        Taken::Png(bytes) => png::size(bytes, name),
        Taken::Bitmap { bytes, .. } => Ok((bitmap_size(bytes, name)?, Orientation::NoTransforms)),
    }
}

pub(super) fn decode(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let (entry, bytes) = match taken(bytes, name)? {
        Taken::Png(bytes) => return png::decode(bytes, name, limits),
        Taken::Bitmap { entry, bytes } => (entry, bytes),
    };
    let (width, height) = bitmap_size(bytes, name)?;
    limits.check(width, height, name)?;
    // `image` takes the image with the most colors, and compares the sizes: it gets a file with this image alone.
    let &[_, _, _, _, _, _, _, _, l0, l1, l2, l3, ..] = entry;
    let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let mut entry = *entry;
    // 256 and more as 0.
    entry[0] = u8::try_from(width).unwrap_or(0);
    entry[1] = u8::try_from(height).unwrap_or(0);
    entry[12..].copy_from_slice(&((HEADER + ENTRY) as u32).to_le_bytes());
    let bytes = &bytes[..len.min(bytes.len())];
    let file = [&[0, 0, 1, 0, 1, 0], &entry[..], bytes].concat();
    let decoder = IcoDecoder::new(Cursor::new(file.as_slice()))
        .map_err(|error| decode_error(name, format!("ICO: {error}")))?;
    if decoder.dimensions() != (width as u32, height as u32) {
        return Err(decode_error(name, "ICO: inconsistent sizes"));
    }
    Ok((decode_rgb(decoder, "ICO", name)?, Orientation::NoTransforms))
}
