//! The card of an image: pixels, boxes, lists of objects, captions.

use maud::{Markup, html};

use super::types::ImageCard;
use crate::boxes::{check_boxes, object_list};
use crate::data_uri::rgb_data_uri;
use crate::layout::{pixelated, text_or_empty};
use crate::overlay::overlay;
use crate::{BoxKind, ImageError};

/// Usual width of an image on the page, in CSS pixels.
const IMAGE_WIDTH: f64 = 340.0;

pub(super) fn image_card(index: usize, image: &ImageCard) -> Result<Markup, ImageError> {
    let uri = rgb_data_uri(image.width, image.height, &image.rgb)?;
    check_boxes(&image.boxes)?;
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    // Tall images are narrowed so that a card fits on a screen.
    let shown_width = (420.0 * width / height)
        .clamp(220.0, IMAGE_WIDTH)
        .min((1200.0 * width / height).max(24.0));
    let max_width = (shown_width < IMAGE_WIDTH).then(|| format!("max-width:{shown_width:.0}px"));
    let overlay = overlay((image.width, image.height), shown_width, &image.boxes);
    Ok(html! {
        figure.card id={ "image-" (index) } {
            figcaption { (image.title) }
            div.frame style=[max_width] {
                img class=[pixelated(shown_width >= 1.5 * width)] src=(uri) width=(image.width) height=(image.height)
                    alt=(image.title);
                (overlay.svg)
            }
            (overlay.hint())
            (object_list("Predicted", &image.boxes, BoxKind::Predicted))
            (object_list("True", &image.boxes, BoxKind::Truth))
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
