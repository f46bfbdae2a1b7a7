//! The card of an image: pixels, boxes, lists of objects, captions.

use maud::{Markup, html};

use super::types::ImageCard;
use crate::boxes::object_list;
use crate::framed_image::framed_image;
use crate::layout::text_or_empty;
use crate::{BoxKind, ImageError};

/// Usual width of an image on the page, in CSS pixels.
const IMAGE_WIDTH: f64 = 340.0;

pub(super) fn image_card(index: usize, image: &ImageCard) -> Result<Markup, ImageError> {
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    // Tall images are narrowed so that a card fits on a screen.
    let shown_width = (420.0 * width / height)
        .clamp(220.0, IMAGE_WIDTH)
        .min((1200.0 * width / height).max(24.0));
    let is_narrow = shown_width < IMAGE_WIDTH;
    let (size, boxes) = ((image.width, image.height), &image.boxes);
    Ok(html! {
        figure.card id={ "image-" (index) } {
            figcaption { (image.title) }
            (framed_image(&image.title, size, &image.rgb, boxes, shown_width, is_narrow)?)
            (object_list("Predicted", boxes, BoxKind::Predicted))
            (object_list("True", boxes, BoxKind::Truth))
            (captions(&image.captions))
        }
    })
}

fn captions(captions: &[(String, String)]) -> Markup {
    html! {
        @if !captions.is_empty() {
            dl.captions {
                dt { "Generated" }
                dt { "Reference" }
                @for (generated, reference) in captions {
                    dd { (text_or_empty(generated)) }
                    dd { (text_or_empty(reference)) }
                }
            }
        }
    }
}
