//! The report page of a run.

mod image_card;
mod masked_text;
mod types;

use maud::{Markup, html};

use crate::DrawError;
use crate::curve::inline_curve;
use crate::layout::{notes, page, summary};
use crate::table::table_section;
pub use types::{ImageCard, MaskedText, MaskedWord, Report, WordPrediction};

/// The report as one self-contained HTML file for light and dark mode, wide and narrow screens: no script, no network
/// access, and the same report gives the same bytes.
///
/// # Errors
/// [`DrawError`] for an image whose pixels or boxes cannot be drawn, a row of the metrics with a wrong number of
/// cells, and a masked text with an index of a missing image.
///
/// ```
/// use vlp_draw::{Report, render_report};
///
/// let page = render_report(&Report { title: "A run".into(), ..Report::default() })?;
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// # Ok::<(), vlp_draw::DrawError>(())
/// ```
pub fn render_report(report: &Report) -> Result<String, DrawError> {
    let content = html! {
        (summary(&report.summary))
        (table_section("Metrics", &report.metrics)?)
        (curves(report))
        (images(report)?)
        (masked_texts(report)?)
        (notes(&report.notes))
        @if !report.config.is_empty() {
            section {
                h2 { "Configuration" }
                details { summary { "Show" } pre { (report.config) } }
            }
        }
    };
    Ok(page(&report.title, "", &content))
}

fn curves(report: &Report) -> Markup {
    html! {
        @if !report.curves.is_empty() {
            section {
                h2 { "Curves" }
                p.hint {
                    "By training step. Thin: recorded values; thick: their exponential moving average; next to \
                     the name: first and last value."
                }
                div.curves { @for curve in &report.curves { (inline_curve(curve)) } }
            }
        }
    }
}

fn images(report: &Report) -> Result<Markup, DrawError> {
    let card = |(index, image): (usize, &ImageCard)| {
        image_card::image_card(index, image).map_err(|problem| DrawError::Image {
            index,
            title: image.title.clone(),
            problem,
        })
    };
    Ok(html! {
        @if !report.images.is_empty() {
            section {
                h2 { "Images" }
                @if report.images.iter().any(|image| !image.boxes.is_empty()) {
                    p.hint.legend {
                        span { span.swatch style="border:2px solid" {} " predicted" } " "
                        span { span.swatch style="border:2px dashed" {} " true" } " "
                        span { "one color per class; a true label is not shown if a prediction has the same label" }
                    }
                }
                div.cards { @for image in report.images.iter().enumerate() { (card(image)?) } }
            }
        }
    })
}

fn masked_texts(report: &Report) -> Result<Markup, DrawError> {
    let words = report.masked.iter().flat_map(|text| &text.words);
    let predictions: Vec<_> = words.filter_map(|word| word.prediction.as_ref()).collect();
    let correct = predictions
        .iter()
        .filter(|prediction| prediction.is_correct())
        .count();
    let card = |(index, text): (usize, &MaskedText)| {
        let Some(image_index) = text.image else {
            return Ok(masked_text::masked_text(text, &Markup::default()));
        };
        let image = report
            .images
            .get(image_index)
            .ok_or(DrawError::MaskedImage {
                index,
                image: image_index,
                images: report.images.len(),
            })?;
        let thumbnail = masked_text::thumbnail_link(image_index, image);
        let thumbnail = thumbnail.map_err(|problem| DrawError::Image {
            index: image_index,
            title: image.title.clone(),
            problem,
        })?;
        Ok(masked_text::masked_text(text, &thumbnail))
    };
    Ok(html! {
        @if !report.masked.is_empty() {
            section {
                h2 { "Masked words" }
                p.hint {
                    (correct) " of " (predictions.len())
                    " predicted correctly. Bars: probability of the first candidates."
                }
                div.texts { @for text in report.masked.iter().enumerate() { (card(text)?) } }
            }
        }
    })
}
