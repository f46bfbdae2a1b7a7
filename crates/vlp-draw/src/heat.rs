//! Weights over a grid as a smooth heat overlay.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::png::rgba_uri;
use crate::{PictureError, grid};

/// Weights of a grid over a picture, such as the attention of one word to the cells.
///
/// The cells are equal and cover the picture from edge to edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heat {
    /// What attends: a word, or the query of a box.
    pub title: String,
    /// Cells from top to bottom, above 0.
    pub rows: u32,
    /// Cells from left to right, above 0.
    pub columns: u32,
    /// `rows * columns` weights, row by row: finite, 0 or more. They are divided by the largest.
    pub weights: Vec<f32>,
}

/// Inferno of matplotlib (Smith and van der Walt, CC0) at equal steps: lightness rises evenly, so
/// that it is read alike by readers of any colour vision.
const INFERNO: [[u8; 3]; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];
/// Opacity at weight 0 and at the largest weight: the picture is dimmed, yet seen everywhere.
const OPACITY: (f32, f32) = (0.48, 0.72);
/// Longer edge of the overlay in pixels, if the grid is coarser; browsers smooth what remains.
const SIDE: u32 = 56;

/// The colour map's CSS gradient from low to high.
pub(crate) fn gradient() -> String {
    let mut stops = String::from("linear-gradient(90deg");
    for [r, g, b] in INFERNO {
        // Writing to a String cannot fail.
        let _ = write!(stops, ",#{r:02x}{g:02x}{b:02x}");
    }
    stops.push(')');
    stops
}

impl Heat {
    /// Errors unless there is a finite weight of 0 or more for each cell.
    pub(crate) fn check(&self) -> Result<(), PictureError> {
        let name = format!("heat map {:?}", self.title);
        grid::check(&name, self.rows, self.columns, self.weights.len())?;
        let wrong = |weight: &f32| !weight.is_finite() || *weight < 0.0;
        match self.weights.iter().position(wrong) {
            None => Ok(()),
            Some(index) => Err(PictureError::Weight {
                heat: self.title.clone(),
                row: index / self.columns as usize,
                column: index % self.columns as usize,
                weight: self.weights[index],
            }),
        }
    }

    /// The largest weight.
    pub(crate) fn peak(&self) -> f32 {
        self.weights.iter().copied().fold(0.0, f32::max)
    }

    /// The overlay as SVG over an area of `size` units. The weights must have passed `check`.
    pub(crate) fn layer(&self, size: (f64, f64)) -> Result<String, PictureError> {
        let times = (SIDE / self.rows.max(self.columns)).max(1);
        let (width, height) = (self.columns * times, self.rows * times);
        let peak = self.peak();
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height {
            for x in 0..width {
                let centre = |at: u32| (at as f32 + 0.5) / times as f32 - 0.5;
                let weight = self.bilinear(centre(x), centre(y));
                pixels.push(colour(if peak > 0.0 { weight / peak } else { 0.0 }));
            }
        }
        Ok(format!(
            "<image width=\"{:.1}\" height=\"{:.1}\" preserveAspectRatio=\"none\" href=\"{}\"/>",
            size.0,
            size.1,
            rgba_uri(width, height, &pixels)?
        ))
    }

    /// The weight at a place in cells, where whole numbers are the cells' centres; beyond the
    /// outermost centres it stays what it is there.
    fn bilinear(&self, x: f32, y: f32) -> f32 {
        let split = |at: f32, cells: u32| {
            let at = at.clamp(0.0, (cells - 1) as f32);
            let low = at as usize;
            (low, (low + 1).min(cells as usize - 1), at - low as f32)
        };
        let (left, right, along) = split(x, self.columns);
        let (top, bottom, down) = split(y, self.rows);
        let at = |row: usize, column: usize| self.weights[row * self.columns as usize + column];
        let mix = |a: f32, b: f32, share: f32| a * (1.0 - share) + b * share;
        mix(
            mix(at(top, left), at(top, right), along),
            mix(at(bottom, left), at(bottom, right), along),
            down,
        )
    }
}

/// The colour and opacity of a weight in 0..=1.
fn colour(weight: f32) -> [u8; 4] {
    let place = weight.clamp(0.0, 1.0) * (INFERNO.len() - 1) as f32;
    let low = (place as usize).min(INFERNO.len() - 2);
    let share = place - low as f32;
    let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
    let sample = |i: usize| {
        let (a, b) = (INFERNO[low][i], INFERNO[low + 1][i]);
        mix(f32::from(a), f32::from(b), share).round() as u8
    };
    let alpha = mix(OPACITY.0, OPACITY.1, weight.clamp(0.0, 1.0)) * 255.0;
    [sample(0), sample(1), sample(2), alpha.round() as u8]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn heat(rows: u32, columns: u32, weights: &[f32]) -> Heat {
        Heat {
            title: "dog".into(),
            rows,
            columns,
            weights: weights.into(),
        }
    }

    #[test]
    fn between_centres_weights_are_interpolated() {
        let map = heat(2, 2, &[0.0, 1.0, 2.0, 5.0]);
        let at = |x, y| map.bilinear(x, y);
        assert_eq!((at(0.0, 0.0), at(1.0, 1.0)), (0.0, 5.0));
        assert_eq!((at(0.5, 0.0), at(0.0, 0.5), at(0.5, 0.5)), (0.5, 1.0, 2.0));
        assert_eq!((at(-0.5, -0.5), at(1.5, 1.5)), (0.0, 5.0));
    }

    #[test]
    fn the_largest_weight_has_the_last_colour() {
        assert_eq!(colour(0.0), [0, 0, 4, 122]);
        assert_eq!(colour(1.0), [252, 255, 164, 184]);
        assert_eq!(colour(0.5)[..3], INFERNO[4]);
        // Normalised: the same map times any factor gives the same picture.
        let layer = |factor: f32| {
            heat(1, 3, &[0.0, factor, 2.0 * factor])
                .layer((30.0, 10.0))
                .unwrap()
        };
        assert_eq!(layer(1.0), layer(0.25));
        assert!(layer(0.0).contains("<image") && layer(f32::MAX / 4.0).contains("<image"));
        assert_ne!(layer(0.0), layer(1.0));
    }

    #[test]
    fn wrong_weights_are_named() {
        let message = |map: Heat| map.check().unwrap_err().to_string();
        assert_eq!(
            message(heat(2, 3, &[0.0; 5])),
            "heat map \"dog\": 5 values for a grid of 2x3 (rows x columns); 6 are right, both above 0"
        );
        assert!(message(heat(0, 3, &[])).contains("0x3"));
        assert_eq!(
            message(heat(1, 2, &[0.1, f32::NAN])),
            "heat map \"dog\": the weight of row 0, column 1 is NaN; weights must be finite and 0 or more"
        );
        assert!(heat(1, 2, &[0.1, -0.1]).check().is_err());
        assert!(heat(1, 2, &[0.1, 0.0]).check().is_ok());
    }
}
