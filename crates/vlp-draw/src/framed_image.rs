//! An image with its boxes in a frame.

use maud::{Markup, html};

use crate::boxes::check_boxes;
use crate::data_uri::rgb_data_uri;
use crate::layout::pixelated;
use crate::overlay::overlay;
use crate::{DrawnBox, ImageError};

/// The pixels of an image of `size`, shown `shown_width` CSS pixels wide, with `boxes` over them. The frame grows with the
/// card unless `is_limited`.
pub(crate) fn framed_image(
    title: &str,
    size: (u32, u32),
    rgb: &[u8],
    boxes: &[DrawnBox],
    shown_width: f64,
    is_limited: bool,
) -> Result<Markup, ImageError> {
    let (width, height) = size;
    let uri = rgb_data_uri(width, height, rgb)?;
    check_boxes(boxes)?;
    let max_width = is_limited.then(|| format!("max-width:{shown_width:.0}px"));
    let overlay = overlay(size, shown_width, boxes);
    Ok(html! {
        div.frame style=[max_width] {
            img class=[pixelated(shown_width >= 1.5 * f64::from(width))] src=(uri) width=(width) height=(height)
                alt=(title);
            (overlay.svg)
        }
        (overlay.hint())
    })
}
