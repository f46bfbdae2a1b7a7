//! GIF: its first frame. `image` decodes it, but allocates by the size of the frame before that is checked, and cuts a frame
//! off at the edge of the screen; so both sizes are read here, and the screen is enlarged to the frame, as PIL does.

use std::{borrow::Cow, io::Cursor};

use image::{codecs::gif::GifDecoder, metadata::Orientation};

use super::{Stored, decode_error, decode_rgb};
use crate::{DataError, Limits};

/// Where the size of the screen is.
const SCREEN: std::ops::Range<usize> = 6..10;

/// Size of the screen and of the image: the screen that has room for the first frame.
struct Sizes {
    screen: [u16; 2],
    image: [usize; 2],
}

fn sizes(bytes: &[u8], name: &str) -> Result<Sizes, DataError> {
    let truncated = || decode_error(name, "GIF: the file ends before its first frame");
    let (start, mut rest) = bytes.split_first_chunk::<13>().ok_or_else(truncated)?;
    let &[_, _, _, _, _, _, w0, w1, h0, h1, flags, _, _] = start;
    let screen = [[w0, w1], [h0, h1]].map(u16::from_le_bytes);
    // Without the highest bit there is no table of colors.
    let colors = if flags & 0x80 == 0 {
        0
    } else {
        2 << (flags & 7)
    };
    rest = rest.get(3 * colors..).ok_or_else(truncated)?;
    loop {
        let (&kind, block) = rest.split_first().ok_or_else(truncated)?;
        match kind {
            b',' => {
                let frame = block.first_chunk::<8>().ok_or_else(truncated)?;
                let &[x0, x1, y0, y1, w0, w1, h0, h1] = frame;
                let start = [[x0, x1], [y0, y1]].map(u16::from_le_bytes);
                let sides = [[w0, w1], [h0, h1]].map(u16::from_le_bytes);
                if sides.contains(&0) {
                    let reason = format!("GIF: a first frame of {}x{}", sides[0], sides[1]);
                    return Err(decode_error(name, reason));
                }
                let side = |axis: usize| {
                    let end = usize::from(start[axis]) + usize::from(sides[axis]);
                    end.max(screen[axis].into())
                };
                let image = [side(0), side(1)];
                return Ok(Sizes { screen, image });
            }
            b'!' => {
                // A label, and blocks until an empty one, each after its length.
                rest = block.get(1..).ok_or_else(truncated)?;
                loop {
                    let (&len, after) = rest.split_first().ok_or_else(truncated)?;
                    rest = after.get(usize::from(len)..).ok_or_else(truncated)?;
                    if len == 0 {
                        break;
                    }
                }
            }
            b';' => return Err(decode_error(name, "GIF: no frame")),
            _ => {
                let reason = format!("GIF: a block of the unknown kind {kind:#04x}");
                return Err(decode_error(name, reason));
            }
        }
    }
}

/// Width and height. The bytes may be a prefix of the file that has the header of the first frame.
pub(super) fn size(bytes: &[u8], name: &str) -> Result<(usize, usize), DataError> {
    let [width, height] = sizes(bytes, name)?.image;
    Ok((width, height))
}

pub(super) fn decode(bytes: &[u8], name: &str, limits: &Limits) -> Result<Stored, DataError> {
    let Sizes { screen, image } = sizes(bytes, name)?;
    limits.check(image[0], image[1], name)?;
    let mut file = Cow::Borrowed(bytes);
    if screen.map(usize::from) != image {
        let sides = image.map(u16::try_from);
        let [Ok(width), Ok(height)] = sides else {
            let reason = format!(
                "GIF: a first frame that ends at {}x{}; at most 65535x65535",
                image[0], image[1]
            );
            return Err(decode_error(name, reason));
        };
        let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
        file.to_mut()[SCREEN].copy_from_slice(&sides);
    }
    let decoder = GifDecoder::new(Cursor::new(file.as_ref()))
        .map_err(|error| decode_error(name, format!("GIF: {error}")))?;
    Ok((decode_rgb(decoder, "GIF", name)?, Orientation::NoTransforms))
}
