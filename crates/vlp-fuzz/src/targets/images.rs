use vlp_data::decode_image;

use crate::limits::limits;
use crate::must::{Must, accepted};
use crate::scratch::Scratch;
use crate::source::check_image;

/// The bytes of an image file. Decoders do not compare the checksums of PNG when they are fuzzed.
pub fn images(_: &Scratch, input: &[u8]) {
    let limits = limits();
    if let Some(image) = accepted(decode_image(input, "input", &limits)) {
        check_image(&image);
        limits
            .check(image.width, image.height, "input")
            .must("its size");
    }
}
