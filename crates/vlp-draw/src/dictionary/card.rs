//! The cards of codes and of images with codes.

use maud::{Markup, html};

use super::types::{CodeCard, CodedImage, Patch};
use super::usage::Usage;
use crate::ImageError;
use crate::bars::bar;
use crate::data_uri::{check_rgb, rgb_data_uri, thumbnail};
use crate::grid::{code_chip, code_legend};
use crate::layout::pixelated;
use crate::number_format::{grouped, percent};
use crate::palette::Palette;
use crate::shared_image::SharedImage;

/// Width of an image on the page in CSS pixels; there are two next to each other.
const IMAGE_WIDTH: f64 = 256.0;
/// Longer edge of a patch in pixels.
const PATCH_SIDE: u32 = 40;

/// An image next to itself tinted by codes.
pub(super) fn image_card(
    index: usize,
    image: &CodedImage,
    palette: &Palette,
    has_card: impl Fn(usize) -> bool,
) -> Result<Markup, ImageError> {
    let pixels = (image.width, image.height, &image.rgb[..]);
    let shared = SharedImage::new(format!("pixels-{index}"), &image.title, pixels, IMAGE_WIDTH)?;
    let codes = image.grid.layer(shared.size, palette, &has_card)?;
    Ok(html! {
        figure.card id={ "image-" (index) } {
            figcaption { (image.title) }
            div.pair { (shared.draw()) (shared.redraw("codes", &codes)) }
            (code_legend(&image.grid, palette, &has_card))
            @for caption in &image.captions { p.caption { (caption) } }
        }
    })
}

/// A code with its patches and words; bars are full at `max_word_value`. An error comes with the index
/// of its patch.
pub(super) fn code_card(
    card: &CodeCard,
    usage: &Usage,
    palette: &Palette,
    max_word_value: f64,
) -> Result<Markup, (usize, ImageError)> {
    let patches = card.shown_patches();
    Ok(html! {
        article.card.code id={ "code-" (card.code) } {
            h3 {
                (code_chip(card.code, palette, false))
                b { (percent(usage.fraction(card.uses.into()))) }
                span { (grouped(card.uses.into())) }
            }
            @if !patches.is_empty() {
                div.patches {
                    @for (index, patch) in patches.iter().enumerate() {
                        (patch_image(patch).map_err(|problem| (index, problem))?)
                    }
                }
            }
            @for (word, value) in card.shown_words() {
                (bar(word, value / max_word_value, &format!("{value:.2}")))
            }
        }
    })
}

fn patch_image(patch: &Patch) -> Result<Markup, ImageError> {
    check_rgb(patch.width, patch.height, &patch.rgb)?;
    let (width, height, rgb) = thumbnail(patch.width, patch.height, &patch.rgb, PATCH_SIDE);
    let uri = rgb_data_uri(width, height, &rgb)?;
    let is_enlarged = patch.width.max(patch.height) < PATCH_SIDE;
    Ok(html! {
        img class=[pixelated(is_enlarged)] src=(uri) alt=(patch.title) title=(patch.title);
    })
}
