//! Sentences with masked words and their predictions.

use maud::{Markup, html};

use super::types::{ImageCard, MaskedText, WordPrediction};
use crate::ImageError;
use crate::bars::highlighted_bar;
use crate::data_uri::{rgb_data_uri, thumbnail};
use crate::layout::pixelated;

/// Longer edge of the thumbnail in pixels.
const THUMBNAIL_SIDE: u32 = 96;

/// A small copy of the image that links to its card; the pixels must have passed `check_rgb`.
pub(super) fn thumbnail_link(index: usize, image: &ImageCard) -> Result<Markup, ImageError> {
    let (width, height, rgb) = thumbnail(image.width, image.height, &image.rgb, THUMBNAIL_SIDE);
    let uri = rgb_data_uri(width, height, &rgb)?;
    Ok(html! {
        a href={ "#image-" (index) } { img class=[pixelated(width < 64)] src=(uri) alt=(image.title); }
    })
}

/// One sentence with the candidates for its masked words, next to the thumbnail.
pub(super) fn masked_text(text: &MaskedText, thumbnail: &Markup) -> Markup {
    let predictions = text
        .words
        .iter()
        .filter_map(|word| word.prediction.as_ref());
    let predictions: Vec<(usize, &WordPrediction)> = (1..).zip(predictions).collect();
    let mut numbers = 1..;
    html! {
        article.card.masked {
            (thumbnail)
            div {
                p.sentence {
                    @for (i, word) in text.words.iter().enumerate() {
                        @if i > 0 { " " }
                        @match &word.prediction {
                            None => (word.text),
                            Some(prediction) => mark class=(verdict(prediction)) {
                                (word.text) sup { (numbers.next().unwrap_or_default()) }
                            },
                        }
                    }
                }
                @if !predictions.is_empty() {
                    div.candidate-lists { @for (number, prediction) in predictions { (candidates(number, prediction)) } }
                }
            }
        }
    }
}

fn verdict(prediction: &WordPrediction) -> &'static str {
    if prediction.is_correct() {
        "correct"
    } else {
        "wrong"
    }
}

fn candidates(number: usize, prediction: &WordPrediction) -> Markup {
    let verdict = verdict(prediction);
    let sign = if prediction.is_correct() {
        "✓"
    } else {
        "✗"
    };
    html! {
        div class={ "candidates " (verdict) } {
            p {
                sup { (number) } " target " b { (prediction.target) } " "
                span.sign role="img" aria-label=(verdict) { (sign) }
            }
            @for (word, probability) in &prediction.candidates {
                @let value = format!("{probability:.2}");
                (highlighted_bar(word, f64::from(*probability), &value, *word == prediction.target))
            }
        }
    }
}
