//! The card of a sample.

use maud::{Markup, html};

use super::types::{SampleCard, SampleImage};
use crate::boxes::object_list;
use crate::framed_image::framed_image;
use crate::layout::text_or_empty;
use crate::{BoxKind, ImageError};

/// Maximum width of an image on the page, in CSS pixels.
const MAX_IMAGE_WIDTH: f64 = 340.0;

pub(super) fn sample_card(index: usize, sample: &SampleCard) -> Result<Markup, ImageError> {
    Ok(html! {
        figure.card.wide[sample.images.len() > 1] id={ "sample-" (index) } {
            figcaption { (sample.title) }
            div.image-row { @for image in &sample.images { (sample_image(&sample.title, image)?) } }
            @if !sample.texts.is_empty() {
                ul.text-list { @for text in &sample.texts { li { (text_or_empty(text)) } } }
            }
            @if !sample.facts.is_empty() {
                dl.facts { @for (name, value) in &sample.facts { dt { (name) } dd { (value) } } }
            }
        }
    })
}

fn sample_image(title: &str, image: &SampleImage) -> Result<Markup, ImageError> {
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    // Tall images are narrowed so that a card fits on a screen.
    let shown_width = (400.0 * width / height).clamp(24.0, MAX_IMAGE_WIDTH);
    let (size, boxes) = ((image.width, image.height), &image.boxes);
    Ok(html! {
        div {
            (framed_image(title, size, &image.rgb, boxes, shown_width, true)?)
            (object_list("Objects", boxes, BoxKind::Truth))
            (object_list("Predicted", boxes, BoxKind::Predicted))
        }
    })
}
