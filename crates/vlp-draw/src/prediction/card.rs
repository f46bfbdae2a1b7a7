//! The card of an image with its predictions.

use maud::{Markup, html};

use super::types::PredictedImage;
use crate::bars::bar;
use crate::boxes::{check_boxes, object_list};
use crate::grid::code_legend;
use crate::layout::text_or_empty;
use crate::number_format::probability;
use crate::overlay::overlay;
use crate::palette::Palette;
use crate::shared_image::SharedImage;
use crate::{BoxKind, ImageError};

/// Width of the image on the page, in CSS pixels.
const IMAGE_WIDTH: f64 = 460.0;

pub(super) fn image_card(
    index: usize,
    image: &PredictedImage,
    palette: &Palette,
) -> Result<Markup, ImageError> {
    check_boxes(&image.boxes)?;
    let pixels = (image.width, image.height, &image.rgb[..]);
    let shared = SharedImage::new(format!("pixels-{index}"), &image.title, pixels, IMAGE_WIDTH)?;
    let width = shared.size.0;
    let overlay = overlay((image.width, image.height), width, &image.boxes);
    Ok(html! {
        article.card id={ "image-" (index) } {
            h3.name { (image.title) }
            div.prediction {
                div {
                    div.frame style={ "max-width:" (format_args!("{width:.0}")) "px" } {
                        (shared.draw())
                        (overlay.svg)
                    }
                    (overlay.hint())
                    (object_list("Objects", &image.boxes, BoxKind::Predicted))
                    (object_list("True objects", &image.boxes, BoxKind::Truth))
                }
                div { (texts(image)) }
            }
            (heatmaps(image, &shared)?)
            (codes(image, &shared, palette)?)
        }
    })
}

fn texts(image: &PredictedImage) -> Markup {
    html! {
        @if !image.captions.is_empty() {
            h3 { "Captions" }
            ul.text-list {
                @for (text, log_probability) in &image.captions {
                    li {
                        span { (text_or_empty(text)) }
                        span.score { "log p " (format_args!("{log_probability:.2}")) }
                    }
                }
            }
        }
        @for question in &image.questions {
            h3 { "Question" }
            p.question { (question.question) }
            (probability_bars(&question.answers))
        }
        @if !image.matches.is_empty() {
            h3 { "Does the text match?" }
            div.matches { (probability_bars(&image.matches)) }
        }
    }
}

fn probability_bars(texts: &[(String, f32)]) -> Markup {
    html! {
        @for (text, value) in texts { (bar(text, f64::from(*value), &probability(*value))) }
    }
}

fn heatmaps(image: &PredictedImage, shared: &SharedImage) -> Result<Markup, ImageError> {
    image
        .heatmaps
        .iter()
        .try_for_each(|heatmap| heatmap.check())?;
    Ok(html! {
        @if !image.heatmaps.is_empty() {
            h3 { "Heat maps" }
            div.heatmaps {
                @for heatmap in &image.heatmaps {
                    figure {
                        (shared.redraw(&heatmap.title, &heatmap.layer(shared.size)?))
                        figcaption {
                            b { (heatmap.title) } " " span.score { (format_args!("{:.3}", heatmap.max())) }
                        }
                    }
                }
            }
        }
    })
}

fn codes(
    image: &PredictedImage,
    shared: &SharedImage,
    palette: &Palette,
) -> Result<Markup, ImageError> {
    let Some(grid) = &image.codes else {
        return Ok(Markup::default());
    };
    grid.check()?;
    let layer = grid.layer(shared.size, palette, |_| false)?;
    Ok(html! {
        h3 { "Codes of the grid features" }
        div style={ "max-width:" (format_args!("{:.0}", shared.size.0)) "px" } { (shared.redraw("codes", &layer)) }
        (code_legend(grid, palette, |_| false))
    })
}
