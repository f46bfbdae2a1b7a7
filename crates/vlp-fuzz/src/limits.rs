//! Sizes of images.

use vlp_data::Limits;

/// Images of fewer pixels than a data set may have: a decoder that heeds the limits is fast, and one that does not is noticed.
pub(crate) fn limits() -> Limits {
    Limits::default()
        .with_max_side(1 << 10)
        .with_max_pixels(1 << 15)
}
