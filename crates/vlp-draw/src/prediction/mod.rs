//! The page of predictions for images.

mod card;
mod types;

use maud::{Markup, html};

use crate::DrawError;
use crate::heatmap::color_map_gradient;
use crate::layout::{notes, page, summary};
use crate::palette::Palette;
pub use types::{AnsweredQuestion, PredictedImage, PredictionPage};

const STYLE: &str = concat!(include_str!("../codes.css"), include_str!("prediction.css"));

/// The page of predictions as one self-contained HTML file: no script, no network access, and the same input
/// gives the same bytes.
///
/// # Errors
/// [`DrawError::Image`] for pixels, boxes, heat maps or codes that cannot be drawn.
///
/// ```
/// use vlp_draw::{PredictedImage, PredictionPage, render_prediction};
///
/// let image = PredictedImage {
///     title: "cat.jpg".into(), width: 2, height: 2, rgb: vec![90; 12],
///     captions: vec![("a cat".into(), -1.4)],
///     ..PredictedImage::default()
/// };
/// let page = render_prediction(&PredictionPage { images: vec![image], ..PredictionPage::default() })?;
/// assert!(page.contains("a cat"));
/// # Ok::<(), vlp_draw::DrawError>(())
/// ```
pub fn render_prediction(prediction: &PredictionPage) -> Result<String, DrawError> {
    let images = &prediction.images;
    let grids = images.iter().filter_map(|image| image.codes.as_ref());
    let palette = Palette::for_codes(grids.flat_map(|grid| &grid.codes).flatten().copied());
    let card = |(index, image): (usize, &PredictedImage)| {
        card::image_card(index, image, &palette).map_err(|problem| DrawError::Image {
            index,
            title: image.title.clone(),
            problem,
        })
    };
    let content = html! {
        (summary(&prediction.summary))
        @if !images.is_empty() {
            section {
                h2 { "Images" }
                @if images.iter().any(|image| !image.heatmaps.is_empty()) { (heatmap_legend()) }
                div.predictions { @for image in images.iter().enumerate() { (card(image)?) } }
            }
        }
        (notes(&prediction.notes))
    };
    Ok(page(&prediction.title, STYLE, &content))
}

fn heatmap_legend() -> Markup {
    html! {
        p.hint {
            "Heat maps: attention weights, from "
            span.scale {
                "0 " i style={ "background:" (color_map_gradient()) } {} " the largest weight of the map"
            }
            ", which is printed next to its name."
        }
    }
}
