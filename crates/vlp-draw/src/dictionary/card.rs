//! The cards of codes and of pictures with codes.

use std::fmt::Write;

use super::stats::{Usage, grouped, percent};
use super::{CodeCard, CodeMap, PATCHES_SHOWN, WORDS_SHOWN};
use crate::PictureError;
use crate::bars::bar;
use crate::grid::{chip, legend};
use crate::html::Esc;
use crate::palette::Palette;
use crate::png::{check, data_uri, thumbnail};
use crate::shot::Shot;

/// Width of a picture on the page, in CSS pixels; two are side by side.
const WIDTH: f64 = 256.0;
/// Longer edge of a patch in pixels.
const PATCH: u32 = 40;

/// A picture beside itself with its cells tinted.
pub(super) fn map(
    out: &mut String,
    index: usize,
    map: &CodeMap,
    palette: &Palette,
    has_card: impl Fn(usize) -> bool,
) -> Result<(), PictureError> {
    let pixels = (map.width, map.height, &map.rgb[..]);
    let shot = Shot::new(format!("pixels-{index}"), &map.title, pixels, WIDTH)?;
    let mut layer = String::new();
    map.grid.layer(&mut layer, shot.size, palette, &has_card)?;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<figure class=\"card\" id=\"picture-{index}\"><figcaption>{}</figcaption><div class=\"pair\">{}{}</div>",
        Esc(&map.title),
        shot.first(),
        shot.again("codes", &layer)
    );
    legend(out, &map.grid, palette, &has_card);
    for caption in &map.captions {
        let _ = write!(out, "<p class=\"caption\">{}</p>", Esc(caption));
    }
    out.push_str("</figure>");
    Ok(())
}

/// The words of a card that are shown.
pub(super) fn words(card: &CodeCard) -> &[(String, f64)] {
    &card.words[..card.words.len().min(WORDS_SHOWN)]
}

/// A code with its patches and words; bars are full at `strongest`. An error comes with the index
/// of its patch.
pub(super) fn code(
    out: &mut String,
    card: &CodeCard,
    usage: &Usage,
    palette: &Palette,
    strongest: f64,
) -> Result<(), (usize, PictureError)> {
    let _ = write!(
        out,
        "<article class=\"card code\" id=\"code-{}\"><h3>",
        card.code
    );
    chip(out, card.code, palette, false);
    let _ = write!(
        out,
        "<b>{}</b><span>{}</span></h3>",
        percent(usage.share(card.uses.into())),
        grouped(card.uses.into())
    );
    let patches = &card.patches[..card.patches.len().min(PATCHES_SHOWN)];
    if !patches.is_empty() {
        out.push_str("<div class=\"patches\">");
        for (index, patch) in patches.iter().enumerate() {
            let uri = check(patch.width, patch.height, &patch.rgb)
                .and_then(|()| {
                    let (width, height, rgb) =
                        thumbnail(patch.width, patch.height, &patch.rgb, PATCH);
                    data_uri(width, height, &rgb)
                })
                .map_err(|problem| (index, problem))?;
            let pixelated = if patch.width.max(patch.height) < PATCH {
                " class=\"pixelated\""
            } else {
                ""
            };
            let title = Esc(&patch.title);
            let _ = write!(
                out,
                "<img{pixelated} src=\"{uri}\" alt=\"{title}\" title=\"{title}\">"
            );
        }
        out.push_str("</div>");
    }
    for (word, figure) in words(card) {
        let fraction = figure / strongest;
        bar(out, "", word, fraction, &format!("{figure:.2}"));
    }
    out.push_str("</article>");
    Ok(())
}
