//! The codes of a picture's cells, drawn over the picture.

use std::fmt::Write;
use std::ops::Range;

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

/// Font size of the numbers in CSS pixels: at most, and at least.
const FONT: (f64, f64) = (11.0, 7.0);
/// Opacity of the tint, of 255: the picture shines through.
const TINT: u8 = 145;

impl CodeGrid {
    /// Errors unless there is one code for each cell.
    pub(crate) fn check(&self) -> Result<(), PictureError> {
        check("codes", self.rows, self.columns, self.codes.len())
    }

    /// The tinted cells as SVG over an area of `size` units (1 unit is 1 CSS pixel), with lines
    /// between codes and one number for each patch of cells with one code; the number of a code with
    /// a card links there.
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
                [r, g, b, TINT]
            }
            // Padding is darkened: it is no part of the picture.
            None => [0, 0, 0, 150],
        };
        let cells: Vec<_> = self.codes.iter().map(tint).collect();
        let cell = (
            size.0 / f64::from(self.columns),
            size.1 / f64::from(self.rows),
        );
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<image class=\"pixelated\" width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\" href=\"{}\"/>\
             <path class=\"seams\" d=\"{}\"/>",
            size.0,
            size.1,
            rgba_uri(self.columns, self.rows, &cells)?,
            self.seams(cell)
        );
        let font = (0.9 * cell.1).min(FONT.0);
        if font < FONT.1 {
            return Ok(());
        }
        let _ = write!(out, "<g class=\"numbers\" font-size=\"{font:.1}\">");
        for Region { code, row, columns } in self.regions() {
            let text = code.to_string();
            // Bold and with a rim, digits are wider.
            if 1.2 * text_width(&text) * font > columns.len() as f64 * cell.0 {
                continue;
            }
            let x = (columns.start + columns.end) as f64 / 2.0 * cell.0;
            let y = (row as f64 + 0.5) * cell.1 + 0.35 * font;
            let number = format!("<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
            let _ = if has_card(code) {
                write!(out, "<a href=\"#code-{code}\">{number}</a>")
            } else {
                write!(out, "{number}")
            };
        }
        out.push_str("</g>");
        Ok(())
    }

    fn at(&self, row: usize, column: usize) -> Option<usize> {
        self.codes[row * self.columns as usize + column]
    }

    /// Lines between neighbours of different codes, as an SVG path.
    fn seams(&self, cell: (f64, f64)) -> String {
        let (rows, columns) = (self.rows as usize, self.columns as usize);
        let mut path = String::new();
        for row in 1..rows {
            for run in runs(columns, |c| self.at(row, c) != self.at(row - 1, c)) {
                let (x, y) = (run.start as f64 * cell.0, row as f64 * cell.1);
                let _ = write!(path, "M{x:.1} {y:.1}H{:.1}", run.end as f64 * cell.0);
            }
        }
        for column in 1..columns {
            for run in runs(rows, |r| self.at(r, column) != self.at(r, column - 1)) {
                let (x, y) = (column as f64 * cell.0, run.start as f64 * cell.1);
                let _ = write!(path, "M{x:.1} {y:.1}V{:.1}", run.end as f64 * cell.1);
            }
        }
        path
    }

    /// Where the number of each connected patch of one code goes.
    fn regions(&self) -> Vec<Region> {
        let (rows, columns) = (self.rows as usize, self.columns as usize);
        let mut seen = vec![false; self.codes.len()];
        let mut regions = Vec::new();
        for start in 0..self.codes.len() {
            let Some(code) = self.codes[start] else {
                continue;
            };
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let (mut cells, mut next) = (vec![start], 0);
            while let Some(&at) = cells.get(next) {
                next += 1;
                let (row, column) = (at / columns, at % columns);
                let around = [
                    (row > 0).then(|| at - columns),
                    (row + 1 < rows).then(|| at + columns),
                    (column > 0).then(|| at - 1),
                    (column + 1 < columns).then(|| at + 1),
                ];
                for neighbour in around.into_iter().flatten() {
                    if !seen[neighbour] && self.codes[neighbour] == Some(code) {
                        seen[neighbour] = true;
                        cells.push(neighbour);
                    }
                }
            }
            cells.sort_unstable();
            let middle = cells.iter().map(|at| at / columns).sum::<usize>() / cells.len();
            let together = |a: &usize, b: &usize| a + 1 == *b && a / columns == b / columns;
            // The longest run of cells beside each other; of equals that nearest to the middle row.
            let best = cells.chunk_by(together).min_by_key(|run| {
                let row = run[0] / columns;
                (std::cmp::Reverse(run.len()), row.abs_diff(middle))
            });
            if let Some(run) = best {
                let first = run[0] % columns;
                regions.push(Region {
                    code,
                    row: run[0] / columns,
                    columns: first..first + run.len(),
                });
            }
        }
        regions
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

/// A run of cells in the middle of a patch of one code.
#[derive(Debug, PartialEq, Eq)]
struct Region {
    code: usize,
    row: usize,
    columns: Range<usize>,
}

/// The stretches of `0..len` where `holds` does.
fn runs(len: usize, holds: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in (0..len).filter(|at| holds(*at)) {
        match found.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => found.push(at..at + 1),
        }
    }
    found
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
        let _ = write!(out, "<span>and {} more</span>", counts.len() - NAMED);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(rows: u32, columns: u32, codes: &[usize]) -> CodeGrid {
        // 9 stands for padding here.
        let codes = codes.iter().map(|code| (*code != 9).then_some(*code));
        CodeGrid {
            rows,
            columns,
            codes: codes.collect(),
        }
    }

    #[test]
    fn each_patch_is_numbered_once_where_it_is_widest() {
        #[rustfmt::skip]
        let map = grid(4, 4, &[
            1, 1, 2, 1,
            1, 2, 2, 9,
            1, 1, 1, 9,
            1, 2, 1, 1,
        ]);
        let region = |code, row, columns| Region { code, row, columns };
        assert_eq!(
            map.regions(),
            [
                region(1, 2, 0..3),
                region(2, 1, 1..3),
                region(1, 0, 3..4),
                region(2, 3, 1..2)
            ]
        );
        assert_eq!(map.counts(), [(1, 10), (2, 4)]);
    }

    #[test]
    fn seams_run_between_codes_alone() {
        assert_eq!(grid(2, 2, &[3; 4]).seams((5.0, 5.0)), "");
        let halves = grid(2, 3, &[1, 2, 2, 1, 2, 2]);
        assert_eq!(halves.seams((5.0, 4.0)), "M5.0 0.0V8.0");
        let corner = grid(2, 2, &[1, 1, 1, 2]);
        assert_eq!(corner.seams((5.0, 4.0)), "M5.0 4.0H10.0M5.0 4.0V8.0");
    }

    #[test]
    fn numbers_are_drawn_where_they_fit() {
        let palette = Palette::of([1000, 2].into_iter());
        let drawn = |size| {
            let mut svg = String::new();
            let map = grid(1, 4, &[1000, 2, 2, 2]);
            assert!(
                map.layer(&mut svg, size, &palette, |code| code == 2)
                    .is_ok()
            );
            svg
        };
        let wide = drawn((200.0, 20.0));
        assert!(
            wide.contains("<a href=\"#code-2\"><text x=\"125.0\"") && wide.contains(">1000</text>")
        );
        let narrow = drawn((60.0, 20.0));
        assert!(narrow.contains(">2</text>") && !narrow.contains(">1000<"));
        assert!(!drawn((60.0, 5.0)).contains("<text"));
    }

    proptest! {
        #[test]
        fn regions_cover_their_code((rows, columns, codes) in (1_u32..9, 1_u32..9).prop_flat_map(|(r, c)| {
            (Just(r), Just(c), prop::collection::vec(prop::option::of(0_usize..3), (r * c) as usize))
        })) {
            let map = CodeGrid { rows, columns, codes };
            let regions = map.regions();
            for region in &regions {
                for column in region.columns.clone() {
                    prop_assert_eq!(map.at(region.row, column), Some(region.code));
                }
            }
            let present = map.counts().len();
            prop_assert!(regions.len() >= present);
        }
    }
}
