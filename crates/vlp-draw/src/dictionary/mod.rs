//! The page of a visual dictionary.

mod card;
mod stats;
mod usage;

use std::collections::HashSet;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::palette::Palette;
use crate::{CodeGrid, DrawError, PictureError, Table, shell};
use stats::Usage;
pub(crate) use stats::grouped;

/// What a visual dictionary learned: the codes with their typical patches and words, how much each
/// is used, and pictures whose cells are tinted by code. An empty part leaves its section out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DictionaryPage {
    /// Heading and window title.
    pub title: String,
    /// Short facts in the order shown, as (name, value): checkpoint, data, number of cells counted.
    pub summary: Vec<(String, String)>,
    /// Figures such as mutual information with shape and colour, purity, trained beside untrained.
    pub metrics: Table,
    /// What the figures of [`CodeCard::words`] are, such as `PMI, nats` or `lift`.
    pub word_measure: String,
    /// Every code of the dictionary once, unused ones too, in any order. Only the
    /// [`CODES_SHOWN`] most used get a card, so only they need patches and words.
    pub codes: Vec<CodeCard>,
    /// Pictures with the codes of their cells.
    pub images: Vec<CodeMap>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Codes that get a card of their own: those used most.
pub const CODES_SHOWN: usize = 64;
/// Patches on one card: the first ones.
pub const PATCHES_SHOWN: usize = 6;
/// Words on one card: the first ones.
pub const WORDS_SHOWN: usize = 6;

/// One code of a [`DictionaryPage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeCard {
    /// Number of the code, which picks its colour: see [`code_colours`](crate::code_colours).
    pub code: usize,
    /// Cells that were assigned to it; 0 marks it dead. Shares and perplexity follow from these.
    pub uses: u64,
    /// Its most typical patches, the best first; [`PATCHES_SHOWN`] of them are shown, at most 40
    /// pixels wide and high.
    pub patches: Vec<Patch>,
    /// Words it occurs with and how strongly, strongest first; [`WORDS_SHOWN`] of them are shown.
    /// A figure that is not finite is printed as it is, without a bar.
    pub words: Vec<(String, f64)>,
}

/// A small part of a picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// Where it comes from; shown when pointed at.
    pub title: String,
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
}

/// A picture and the codes of its cells.
///
/// The pixels go into the page as they are, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeMap {
    /// Heading, such as the sample's key.
    pub title: String,
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
    /// The code of each cell.
    pub grid: CodeGrid,
    /// Captions of the picture.
    pub captions: Vec<String>,
}

/// The page of a visual dictionary as one self-contained HTML file, as [`render`](crate::render)
/// makes them: no script, nothing fetched, the same input gives the same bytes.
///
/// # Errors
/// A picture, patch or grid that cannot be drawn, a code listed twice or missing from `codes` (which
/// is checked unless `codes` is empty), a row of the metrics that does not fit its columns: see
/// [`DrawError`].
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
pub fn render_dictionary(page: &DictionaryPage) -> Result<String, DrawError> {
    let numbers = unique(&page.codes)?;
    let mapped = page.images.iter().flat_map(|map| &map.grid.codes).flatten();
    let palette = Palette::of(numbers.iter().chain(mapped).copied());
    let usage = Usage::of(&page.codes);
    let shown: Vec<_> = usage.used().iter().take(CODES_SHOWN).copied().collect();
    let carded: HashSet<usize> = shown.iter().map(|card| card.code).collect();

    let mut out = shell::open(&page.title, include_str!("../codes.css"));
    shell::summary(&mut out, &page.summary);
    shell::table(&mut out, "Metrics", &page.metrics)?;
    if !page.codes.is_empty() {
        out.push_str("<section><h2>Use of the codes</h2>");
        stats::facts(&mut out, &usage);
        usage::chart(&mut out, &usage, &palette);
        stats::dead(&mut out, &usage);
        out.push_str("</section>\n");
    }
    maps(&mut out, page, &numbers, &palette, |code| {
        carded.contains(&code)
    })?;
    cards(&mut out, page, &usage, &shown, &palette)?;
    shell::notes(&mut out, &page.notes);
    out.push_str(shell::CLOSE);
    Ok(out)
}

/// The numbers of the codes, each of which must be listed once.
fn unique(codes: &[CodeCard]) -> Result<HashSet<usize>, DrawError> {
    let mut seen = HashSet::new();
    match codes.iter().find(|card| !seen.insert(card.code)) {
        Some(card) => Err(DrawError::RepeatedCode { code: card.code }),
        None => Ok(seen),
    }
}

fn maps(
    out: &mut String,
    page: &DictionaryPage,
    numbers: &HashSet<usize>,
    palette: &Palette,
    has_card: impl Fn(usize) -> bool,
) -> Result<(), DrawError> {
    if page.images.is_empty() {
        return Ok(());
    }
    out.push_str(
        "<section><h2>Pictures</h2><p class=\"hint\">Each cell is tinted by its code. Neighbours of one code share a \
         number, where it fits; dark cells are padding. Below: the codes of most cells.</p><div class=\"maps\">",
    );
    for (index, map) in page.images.iter().enumerate() {
        let drawn =
            known(&map.grid, numbers).and_then(|()| card::map(out, index, map, palette, &has_card));
        drawn.map_err(|problem| DrawError::Picture {
            index,
            title: map.title.clone(),
            problem,
        })?;
    }
    out.push_str("</div></section>\n");
    Ok(())
}

/// Errors if a cell has a code that is not listed, unless none is.
fn known(grid: &CodeGrid, numbers: &HashSet<usize>) -> Result<(), PictureError> {
    grid.check()?;
    let strange = |code: &Option<usize>| code.filter(|code| !numbers.contains(code));
    let found = grid.codes.iter().position(|code| strange(code).is_some());
    match found.and_then(|at| Some((at, grid.codes[at]?))) {
        Some((at, code)) if !numbers.is_empty() => Err(PictureError::Code {
            row: at / grid.columns as usize,
            column: at % grid.columns as usize,
            code,
        }),
        _ => Ok(()),
    }
}

fn cards(
    out: &mut String,
    page: &DictionaryPage,
    usage: &Usage,
    shown: &[&CodeCard],
    palette: &Palette,
) -> Result<(), DrawError> {
    if shown.is_empty() {
        return Ok(());
    }
    out.push_str(
        "<section><h2>Codes</h2><p class=\"hint\">Most used first: share and number of cells",
    );
    if shown.iter().any(|card| !card.patches.is_empty()) {
        out.push_str(", most typical patches");
    }
    if shown.iter().any(|card| !card.words.is_empty()) {
        out.push_str(", words it occurs with");
        if !page.word_measure.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(out, " ({})", crate::html::Esc(&page.word_measure));
        }
    }
    out.push_str(".</p><div class=\"codes\">");
    // One scale for all cards: a strong word looks strong beside the weak ones of another code.
    let words = shown.iter().flat_map(|card| card::words(card));
    let strongest = words
        .map(|(_, figure)| *figure)
        .filter(|figure| figure.is_finite())
        .fold(0.0, f64::max);
    for card in shown {
        card::code(out, card, usage, palette, strongest).map_err(|(patch, problem)| {
            DrawError::Patch {
                code: card.code,
                patch,
                title: card.patches[patch].title.clone(),
                problem,
            }
        })?;
    }
    out.push_str("</div>");
    let left_out = usage.used().len() - shown.len();
    if left_out > 0 {
        let rest = usage.used()[shown.len()..]
            .iter()
            .map(|card| u128::from(card.uses))
            .sum::<u128>();
        let (verb, noun) = if left_out == 1 {
            ("is", "code")
        } else {
            ("are", "codes")
        };
        let _ = write!(
            out,
            "<p class=\"hint after\">{} less used {noun} with {} of all uses {verb} left out here.</p>",
            grouped(left_out as u128),
            stats::percent(usage.share(rest))
        );
    }
    out.push_str("</section>\n");
    Ok(())
}
