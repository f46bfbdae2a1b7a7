//! Codes of grid features, drawn over the image.

use std::cmp::Reverse;
use std::ops::Range;

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::ImageError;
use crate::data_uri::rgba_data_uri;
use crate::palette::Palette;
use crate::svg::{Px, text_width};

/// The code of each grid feature of an image.
///
/// The grid divides the image into equal rectangles, from edge to edge: if the image was padded for the
/// model, pass it with its padding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeGrid {
    /// Number of rows, above 0.
    pub rows: u32,
    /// Number of columns, above 0.
    pub columns: u32,
    /// `rows * columns` codes in row-major order; `None` for padding.
    pub codes: Vec<Option<usize>>,
}

/// Errors unless rows and columns are above 0 and `values` is their product; `grid` names the grid.
pub(crate) fn check_grid(
    grid: &str,
    rows: u32,
    columns: u32,
    values: usize,
) -> Result<(), ImageError> {
    let expected = u64::from(rows) * u64::from(columns);
    if expected == 0 || values as u64 != expected {
        return Err(ImageError::Grid {
            grid: grid.to_owned(),
            rows,
            columns,
            expected,
            actual: values,
        });
    }
    Ok(())
}

/// Largest and smallest font size of the codes, in CSS pixels.
const FONT_SIZES: (f64, f64) = (11.0, 7.0);
/// Alpha of the tint, so that the image stays visible.
const TINT_ALPHA: u8 = 145;

impl CodeGrid {
    /// Errors unless there are `rows * columns` codes.
    pub(crate) fn check(&self) -> Result<(), ImageError> {
        check_grid("codes", self.rows, self.columns, self.codes.len())
    }

    /// The tinted grid as SVG over an area of `size` units (1 unit is 1 CSS pixel), with lines
    /// between different codes and one number for each region of one code. The number links to the card
    /// of its code if `has_card`.
    pub(crate) fn layer(
        &self,
        size: (f64, f64),
        palette: &Palette,
        has_card: impl Fn(usize) -> bool,
    ) -> Result<Markup, ImageError> {
        let tint = |code: &Option<usize>| match code {
            Some(code) => {
                let [r, g, b] = palette.get(*code).0;
                [r, g, b, TINT_ALPHA]
            }
            // Padding is dark: it is not part of the image.
            None => [0, 0, 0, 150],
        };
        let tints: Vec<_> = self.codes.iter().map(tint).collect();
        let uri = rgba_data_uri(self.columns, self.rows, &tints)?;
        let scale = (
            size.0 / f64::from(self.columns),
            size.1 / f64::from(self.rows),
        );
        let font_size = (0.9 * scale.1).min(FONT_SIZES.0);
        Ok(html! {
            image.pixelated width=(Px(size.0)) height=(Px(size.1)) preserveAspectRatio="none" href=(uri) {}
            path.code-borders d=(self.borders(scale)) {}
            @if font_size >= FONT_SIZES.1 {
                g.numbers font-size=(Px(font_size)) {
                    @for region in self.regions().iter().filter(|region| region.fits(scale.0, font_size)) {
                        @let number = region.number(scale, font_size);
                        @if has_card(region.code) {
                            a href={ "#code-" (region.code) } { (number) }
                        } @else {
                            (number)
                        }
                    }
                }
            }
        })
    }

    fn get(&self, row: usize, column: usize) -> Option<usize> {
        self.codes[row * self.columns as usize + column]
    }

    /// Lines between neighbors of different codes, as SVG path data.
    fn borders(&self, scale: (f64, f64)) -> String {
        let (rows, columns) = (self.rows as usize, self.columns as usize);
        let mut path = String::new();
        for row in 1..rows {
            for run in runs(columns, |c| self.get(row, c) != self.get(row - 1, c)) {
                let (x, y) = (run.start as f64 * scale.0, row as f64 * scale.1);
                path += &format!("M{x:.1} {y:.1}H{:.1}", run.end as f64 * scale.0);
            }
        }
        for column in 1..columns {
            for run in runs(rows, |r| self.get(r, column) != self.get(r, column - 1)) {
                let (x, y) = (column as f64 * scale.0, run.start as f64 * scale.1);
                path += &format!("M{x:.1} {y:.1}V{:.1}", run.end as f64 * scale.1);
            }
        }
        path
    }

    /// The position of the number of each connected region of one code.
    fn regions(&self) -> Vec<Region> {
        let columns = self.columns as usize;
        let mut visited = vec![false; self.codes.len()];
        let mut regions = Vec::new();
        for start in 0..self.codes.len() {
            let Some(code) = self.codes[start] else {
                continue;
            };
            if visited[start] {
                continue;
            }
            let indices = self.connected(start, &mut visited);
            let middle_row =
                indices.iter().map(|index| index / columns).sum::<usize>() / indices.len();
            let is_adjacent = |a: &usize, b: &usize| a + 1 == *b && a / columns == b / columns;
            // The longest horizontal run; among equals that nearest to the middle row.
            let best = indices.chunk_by(is_adjacent).min_by_key(|run| {
                let row = run[0] / columns;
                (Reverse(run.len()), row.abs_diff(middle_row))
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

    /// Sorted indices of the region of one code around `start`, which are marked as visited.
    fn connected(&self, start: usize, visited: &mut [bool]) -> Vec<usize> {
        let (rows, columns) = (self.rows as usize, self.columns as usize);
        visited[start] = true;
        let (mut indices, mut next) = (vec![start], 0);
        while let Some(&index) = indices.get(next) {
            next += 1;
            let (row, column) = (index / columns, index % columns);
            let neighbors = [
                (row > 0).then(|| index - columns),
                (row + 1 < rows).then(|| index + columns),
                (column > 0).then(|| index - 1),
                (column + 1 < columns).then(|| index + 1),
            ];
            for neighbor in neighbors.into_iter().flatten() {
                if !visited[neighbor] && self.codes[neighbor] == self.codes[start] {
                    visited[neighbor] = true;
                    indices.push(neighbor);
                }
            }
        }
        indices.sort_unstable();
        indices
    }

    /// Codes with the number of their grid features: most frequent first, equal counts in order of codes.
    pub(crate) fn counts(&self) -> Vec<(usize, usize)> {
        let mut codes: Vec<usize> = self.codes.iter().flatten().copied().collect();
        codes.sort_unstable();
        let mut counts: Vec<_> = codes
            .chunk_by(|a, b| a == b)
            .map(|run| (run[0], run.len()))
            .collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        counts
    }
}

/// A horizontal run in the middle of a region of one code.
#[derive(Debug, PartialEq, Eq)]
struct Region {
    code: usize,
    row: usize,
    columns: Range<usize>,
}

impl Region {
    /// Whether the number fits into columns of this width.
    fn fits(&self, column_width: f64, font_size: f64) -> bool {
        // Bold digits with a rim are wider.
        let width = 1.2 * text_width(&self.code.to_string()) * font_size;
        width <= self.columns.len() as f64 * column_width
    }

    fn number(&self, scale: (f64, f64), font_size: f64) -> Markup {
        let x = (self.columns.start + self.columns.end) as f64 / 2.0 * scale.0;
        let y = (self.row as f64 + 0.5) * scale.1 + 0.35 * font_size;
        html! { text x=(Px(x)) y=(Px(y)) { (self.code) } }
    }
}

/// The maximal ranges of indices below `len` for which `predicate` is true.
fn runs(len: usize, predicate: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for index in (0..len).filter(|index| predicate(*index)) {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

/// Number of codes in the legend of an image.
const MAX_LEGEND_CODES: usize = 8;

/// A line with the most frequent codes, as chips.
pub(crate) fn code_legend(
    grid: &CodeGrid,
    palette: &Palette,
    has_card: impl Fn(usize) -> bool,
) -> Markup {
    let counts = grid.counts();
    html! {
        @if !counts.is_empty() {
            p.chips {
                @for (code, count) in counts.iter().take(MAX_LEGEND_CODES) {
                    span { (code_chip(*code, palette, has_card(*code))) " ×" (count) }
                }
                @if counts.len() > MAX_LEGEND_CODES {
                    span { "and " (counts.len() - MAX_LEGEND_CODES) " more" }
                }
            }
        }
    }
}

/// The number of a code on its color, linked to its card if it has one.
pub(crate) fn code_chip(code: usize, palette: &Palette, has_card: bool) -> Markup {
    let style = format!(
        "background:{};color:{}",
        palette.get(code),
        palette.text_color(code)
    );
    html! {
        @if has_card {
            a.chip style=(style) href={ "#code-" (code) } { (code) }
        } @else {
            b.chip style=(style) { (code) }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn grid(rows: u32, columns: u32, codes: &[usize]) -> CodeGrid {
        // Here 9 is padding.
        let codes = codes.iter().map(|code| (*code != 9).then_some(*code));
        CodeGrid {
            rows,
            columns,
            codes: codes.collect(),
        }
    }

    #[test]
    fn each_region_has_one_number_in_its_longest_row() {
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
    fn borders_separate_different_codes() {
        assert_eq!(grid(2, 2, &[3; 4]).borders((5.0, 5.0)), "");
        let halves = grid(2, 3, &[1, 2, 2, 1, 2, 2]);
        assert_eq!(halves.borders((5.0, 4.0)), "M5.0 0.0V8.0");
        let corner = grid(2, 2, &[1, 1, 1, 2]);
        assert_eq!(corner.borders((5.0, 4.0)), "M5.0 4.0H10.0M5.0 4.0V8.0");
    }

    #[test]
    fn numbers_that_do_not_fit_are_omitted() {
        let palette = Palette::for_codes([1000, 2].into_iter());
        let drawn = |size| {
            let map = grid(1, 4, &[1000, 2, 2, 2]);
            map.layer(size, &palette, |code| code == 2)
                .unwrap()
                .into_string()
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
        fn every_code_has_a_region((rows, columns, codes) in (1_u32..9, 1_u32..9).prop_flat_map(|(r, c)| {
            (Just(r), Just(c), prop::collection::vec(prop::option::of(0_usize..3), (r * c) as usize))
        })) {
            let map = CodeGrid { rows, columns, codes };
            let regions = map.regions();
            for region in &regions {
                for column in region.columns.clone() {
                    prop_assert_eq!(map.get(region.row, column), Some(region.code));
                }
            }
            let present = map.counts().len();
            prop_assert!(regions.len() >= present);
        }
    }
}
