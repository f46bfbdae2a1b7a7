//! The page of a visual dictionary.

mod card;
mod types;
mod usage;
mod usage_chart;

use std::collections::HashSet;

use maud::{Markup, html};

use crate::layout::{notes, page, summary};
use crate::number_format::{grouped, percent};
use crate::palette::Palette;
use crate::table::table_section;
use crate::{CodeGrid, DrawError, ImageError};
pub use types::{
    CODES_SHOWN, CodeCard, CodedImage, DictionaryPage, PATCHES_SHOWN, Patch, WORDS_SHOWN,
};
use usage::Usage;

/// The page of a visual dictionary as one self-contained HTML file: no script, no network access, and the same input
/// gives the same bytes.
///
/// # Errors
/// [`DrawError`] for an image, patch or grid that cannot be drawn, a code listed twice or missing from `codes`
/// (not checked if `codes` is empty), and a row of the metrics with a wrong number of cells.
///
/// ```
/// use vlp_draw::{CodeCard, DictionaryPage, render_dictionary};
///
/// let codes = [500, 120, 0].into_iter().enumerate();
/// let codes = codes.map(|(code, uses)| CodeCard { code, uses, ..CodeCard::default() }).collect();
/// let page = render_dictionary(&DictionaryPage { codes, ..DictionaryPage::default() })?;
/// assert!(page.contains("1 dead"));
/// # Ok::<(), vlp_draw::DrawError>(())
/// ```
pub fn render_dictionary(dictionary: &DictionaryPage) -> Result<String, DrawError> {
    let codes = unique_codes(&dictionary.codes)?;
    let image_codes = dictionary.images.iter().flat_map(|image| &image.grid.codes);
    let palette = Palette::for_codes(codes.iter().chain(image_codes.flatten()).copied());
    let usage = Usage::of(&dictionary.codes);
    let shown: Vec<&CodeCard> = usage.used().iter().take(CODES_SHOWN).copied().collect();
    let codes_with_card: HashSet<usize> = shown.iter().map(|card| card.code).collect();
    let has_card = |code| codes_with_card.contains(&code);
    let content = html! {
        (summary(&dictionary.summary))
        (table_section("Metrics", &dictionary.metrics)?)
        @if !dictionary.codes.is_empty() {
            section {
                h2 { "Code usage" }
                (usage::summary(&usage))
                (usage_chart::chart(&usage, &palette))
                (usage::dead_codes(&usage))
            }
        }
        (images(&dictionary.images, &codes, &palette, has_card)?)
        (cards(&dictionary.word_measure, &usage, &shown, &palette)?)
        (notes(&dictionary.notes))
    };
    Ok(page(
        &dictionary.title,
        include_str!("../codes.css"),
        &content,
    ))
}

/// The codes, each of which must be listed once.
fn unique_codes(cards: &[CodeCard]) -> Result<HashSet<usize>, DrawError> {
    let mut codes = HashSet::new();
    match cards.iter().find(|card| !codes.insert(card.code)) {
        Some(card) => Err(DrawError::RepeatedCode { code: card.code }),
        None => Ok(codes),
    }
}

fn images(
    images: &[CodedImage],
    codes: &HashSet<usize>,
    palette: &Palette,
    has_card: impl Fn(usize) -> bool,
) -> Result<Markup, DrawError> {
    let card = |(index, image): (usize, &CodedImage)| {
        check_codes(&image.grid, codes)
            .and_then(|()| card::image_card(index, image, palette, &has_card))
            .map_err(|problem| DrawError::Image {
                index,
                title: image.title.clone(),
                problem,
            })
    };
    Ok(html! {
        @if !images.is_empty() {
            section {
                h2 { "Images" }
                p.hint {
                    "Each grid feature is tinted by its code. Neighbors with the same code have one number, if it fits; \
                     padding is dark. Below: the most frequent codes."
                }
                div.coded-images { @for image in images.iter().enumerate() { (card(image)?) } }
            }
        }
    })
}

/// Errors if the grid has a code that is not listed, unless no codes are listed.
fn check_codes(grid: &CodeGrid, codes: &HashSet<usize>) -> Result<(), ImageError> {
    grid.check()?;
    if codes.is_empty() {
        return Ok(());
    }
    for (index, code) in grid.codes.iter().enumerate() {
        if let Some(code) = code.filter(|code| !codes.contains(code)) {
            return Err(ImageError::Code {
                row: index / grid.columns as usize,
                column: index % grid.columns as usize,
                code,
            });
        }
    }
    Ok(())
}

fn cards(
    word_measure: &str,
    usage: &Usage,
    shown: &[&CodeCard],
    palette: &Palette,
) -> Result<Markup, DrawError> {
    // One scale for all cards, so that bars of different codes are comparable.
    let words = shown.iter().flat_map(|card| card.shown_words());
    let values = words
        .map(|(_, value)| *value)
        .filter(|value| value.is_finite());
    let max_word_value = values.fold(0.0, f64::max);
    let card = |card: &CodeCard| {
        card::code_card(card, usage, palette, max_word_value).map_err(|(patch, problem)| {
            DrawError::Patch {
                code: card.code,
                patch,
                title: card.patches[patch].title.clone(),
                problem,
            }
        })
    };
    let hidden = &usage.used()[shown.len()..];
    Ok(html! {
        @if !shown.is_empty() {
            section {
                h2 { "Codes" }
                p.hint {
                    "Most used first: fraction and number of grid features"
                    @if shown.iter().any(|card| !card.patches.is_empty()) { ", most typical patches" }
                    @if shown.iter().any(|card| !card.words.is_empty()) {
                        ", words it occurs with"
                        @if !word_measure.is_empty() { " (" (word_measure) ")" }
                    }
                    "."
                }
                div.codes { @for shown in shown { (card(shown)?) } }
                @if !hidden.is_empty() { (hidden_codes(hidden, usage)) }
            }
        }
    })
}

fn hidden_codes(hidden: &[&CodeCard], usage: &Usage) -> Markup {
    let uses = hidden.iter().map(|card| u128::from(card.uses)).sum();
    let (verb, noun) = if hidden.len() == 1 {
        ("is", "code")
    } else {
        ("are", "codes")
    };
    html! {
        p.hint.after {
            (grouped(hidden.len() as u128)) " less used " (noun) " with " (percent(usage.fraction(uses)))
            " of all uses " (verb) " not shown."
        }
    }
}
