//! The codes of a picture's cells, drawn over the picture.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::PictureError;
use crate::html::text_width;
use crate::palette::Palette;
use crate::png::rgba_uri;

/// The code of each cell of a grid over a picture.
///
/// The cells are equal and cover the picture from edge to edge: a picture that was padded for the
/// model is given with its padding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeGrid {
    /// Cells from top to bottom, above 0.
    pub rows: u32,
    /// Cells from left to right, above 0.
    pub columns: u32,
    /// `rows * columns` codes, row by row; `None` for padding.
    pub codes: Vec<Option<usize>>,
}

/// Errors unless the grid has a size above 0 and `cells` is the number of its cells; `of` names the
/// grid.
pub(crate) fn check(of: &str, rows: u32, columns: u32, cells: usize) -> Result<(), PictureError> {
    let expected = u64::from(rows) * u64::from(columns);
    if expected == 0 || cells as u64 != expected {
        return Err(PictureError::Grid {
            of: of.to_owned(),
            rows,
            columns,
            expected,
            actual: cells,
        });
    }
    Ok(())
}

/// Font sizes of the numbers, in CSS pixels.
const FONT: (f64, f64) = (7.0, 11.0);

impl CodeGrid {
    /// Errors unless there is one code for each cell.
    pub(crate) fn check(&self) -> Result<(), PictureError> {
        check("codes", self.rows, self.columns, self.codes.len())
    }

    /// The tinted cells and their numbers as SVG, over an area of `size` units (1 unit is 1 CSS
    /// pixel); the number of a code with a card links there.
    pub(crate) fn layer(
        &self,
        out: &mut String,
        size: (f64, f64),
        palette: &Palette,
        has_card: impl Fn(usize) -> bool,
    ) -> Result<(), PictureError> {
        let tint = |code: &Option<usize>| match code {
            Some(code) => {
                let [r, g, b] = palette.get(*code).0;
                [r, g, b, 165]
            }
            // Padding is darkened: it is no part of the picture.
            None => [0, 0, 0, 150],
        };
        let cells: Vec<_> = self.codes.iter().map(tint).collect();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<image class=\"pixelated\" width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\" href=\"{}\"/>",
            size.0,
            size.1,
            rgba_uri(self.columns, self.rows, &cells)?
        );
        let cell = (
            size.0 / f64::from(self.columns),
            size.1 / f64::from(self.rows),
        );
        let longest = self.codes.iter().flatten().max();
        let width = longest.map_or(0.0, |code| text_width(&code.to_string()));
        let font = (0.92 * cell.0 / width.max(0.6))
            .min(0.8 * cell.1)
            .clamp(FONT.0, FONT.1);
        if font > 0.9 * cell.1 {
            return Ok(());
        }
        let _ = write!(out, "<g class=\"numbers\" font-size=\"{font:.1}\">");
        let places =
            (0..self.rows).flat_map(|row| (0..self.columns).map(move |column| (row, column)));
        for ((row, column), code) in places.zip(&self.codes) {
            let Some(code) = code else { continue };
            let text = code.to_string();
            if text_width(&text) * font > 0.98 * cell.0 {
                continue;
            }
            let x = (f64::from(column) + 0.5) * cell.0;
            let y = (f64::from(row) + 0.5) * cell.1 + 0.35 * font;
            let number = format!("<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
            let _ = if has_card(*code) {
                write!(out, "<a href=\"#code-{code}\">{number}</a>")
            } else {
                write!(out, "{number}")
            };
        }
        out.push_str("</g>");
        Ok(())
    }

    /// The codes of most cells, with their number of cells: most first, then in order of codes.
    pub(crate) fn counts(&self) -> Vec<(usize, usize)> {
        let mut codes: Vec<usize> = self.codes.iter().flatten().copied().collect();
        codes.sort_unstable();
        let mut counts: Vec<_> = codes
            .chunk_by(|a, b| a == b)
            .map(|run| (run[0], run.len()))
            .collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

/// Codes named below a map.
const NAMED: usize = 8;

/// A line with the codes of most cells, as chips.
pub(crate) fn legend(
    out: &mut String,
    grid: &CodeGrid,
    palette: &Palette,
    has_card: impl Fn(usize) -> bool,
) {
    let counts = grid.counts();
    if counts.is_empty() {
        return;
    }
    out.push_str("<p class=\"chips\">");
    for (code, cells) in counts.iter().take(NAMED) {
        out.push_str("<span>");
        chip(out, *code, palette, has_card(*code));
        let _ = write!(out, " ×{cells}</span>");
    }
    if counts.len() > NAMED {
        let noun = if counts.len() == NAMED + 1 {
            "code"
        } else {
            "codes"
        };
        let _ = write!(out, "<span>and {} {noun} more</span>", counts.len() - NAMED);
    }
    out.push_str("</p>");
}

/// The number of a code on its colour, linked to its card if it has one.
pub(crate) fn chip(out: &mut String, code: usize, palette: &Palette, link: bool) {
    let style = format!(
        "class=\"chip\" style=\"background:{};color:{}\"",
        palette.get(code),
        palette.ink(code)
    );
    // Writing to a String cannot fail.
    let _ = if link {
        write!(out, "<a {style} href=\"#code-{code}\">{code}</a>")
    } else {
        write!(out, "<b {style}>{code}</b>")
    };
}
