//! Weights over a grid as a smooth color overlay.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::ImageError;
use crate::data_uri::rgba_data_uri;
use crate::grid::check_grid;
use crate::svg::Px;

/// Weights of a grid over an image, such as the attention weights of one word over the grid features.
///
/// The grid divides the image into equal rectangles, from edge to edge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heatmap {
    /// What the weights belong to: a word, or the query of a box.
    pub title: String,
    /// Number of rows, above 0.
    pub rows: u32,
    /// Number of columns, above 0.
    pub columns: u32,
    /// `rows * columns` weights in row-major order: finite, 0 or more. They are divided by the largest one.
    pub weights: Vec<f32>,
}

/// Matplotlib's Inferno (Smith and van der Walt, CC0) at equal steps. Its lightness rises evenly, so it is
/// readable for any color vision.
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
/// Opacity at weight 0 and at the largest weight: the image is dimmed but visible everywhere.
const OPACITY: (f32, f32) = (0.48, 0.72);
/// Longer edge of the overlay in pixels, for a coarser grid; browsers interpolate from there.
const MIN_SIDE: u32 = 56;

/// The color map as a CSS gradient from low to high.
pub(crate) fn color_map_gradient() -> String {
    let stops = INFERNO.map(|[r, g, b]| format!(",#{r:02x}{g:02x}{b:02x}"));
    format!("linear-gradient(90deg{})", stops.concat())
}

impl Heatmap {
    /// Errors unless there are `rows * columns` weights, each finite and 0 or more.
    pub(crate) fn check(&self) -> Result<(), ImageError> {
        let name = format!("heat map {:?}", self.title);
        check_grid(&name, self.rows, self.columns, self.weights.len())?;
        let is_invalid = |weight: &f32| !weight.is_finite() || *weight < 0.0;
        match self.weights.iter().position(is_invalid) {
            None => Ok(()),
            Some(index) => Err(ImageError::Weight {
                heatmap: self.title.clone(),
                row: index / self.columns as usize,
                column: index % self.columns as usize,
                weight: self.weights[index],
            }),
        }
    }

    /// The largest weight.
    pub(crate) fn max(&self) -> f32 {
        self.weights.iter().copied().fold(0.0, f32::max)
    }

    /// The overlay as SVG over an area of `size` units. The weights must have passed `check`.
    pub(crate) fn layer(&self, size: (f64, f64)) -> Result<Markup, ImageError> {
        let scale = (MIN_SIDE / self.rows.max(self.columns)).max(1);
        let (width, height) = (self.columns * scale, self.rows * scale);
        let max = self.max();
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height {
            for x in 0..width {
                let position = |pixel: u32| (pixel as f32 + 0.5) / scale as f32 - 0.5;
                let weight = self.bilinear(position(x), position(y));
                pixels.push(color(if max > 0.0 { weight / max } else { 0.0 }));
            }
        }
        let uri = rgba_data_uri(width, height, &pixels)?;
        Ok(html! {
            image width=(Px(size.0)) height=(Px(size.1)) preserveAspectRatio="none" href=(uri) {}
        })
    }

    /// The weight at a position in grid units, where integers are the centers of the grid's rectangles.
    /// Constant beyond the outermost centers.
    fn bilinear(&self, x: f32, y: f32) -> f32 {
        let split = |position: f32, count: u32| {
            let position = position.clamp(0.0, (count - 1) as f32);
            let low = position as usize;
            (
                low,
                (low + 1).min(count as usize - 1),
                position - low as f32,
            )
        };
        let (left, right, x_fraction) = split(x, self.columns);
        let (top, bottom, y_fraction) = split(y, self.rows);
        let weight = |row: usize, column: usize| self.weights[row * self.columns as usize + column];
        let mix = |a: f32, b: f32, fraction: f32| a * (1.0 - fraction) + b * fraction;
        mix(
            mix(weight(top, left), weight(top, right), x_fraction),
            mix(weight(bottom, left), weight(bottom, right), x_fraction),
            y_fraction,
        )
    }
}

/// The color and opacity of a weight in 0..=1.
fn color(weight: f32) -> [u8; 4] {
    let position = weight.clamp(0.0, 1.0) * (INFERNO.len() - 1) as f32;
    let low = (position as usize).min(INFERNO.len() - 2);
    let mix = |a: f32, b: f32, fraction: f32| a + (b - a) * fraction;
    let channel = |i: usize| {
        let (a, b) = (INFERNO[low][i], INFERNO[low + 1][i]);
        mix(f32::from(a), f32::from(b), position - low as f32).round() as u8
    };
    let alpha = mix(OPACITY.0, OPACITY.1, weight.clamp(0.0, 1.0)) * 255.0;
    [channel(0), channel(1), channel(2), alpha.round() as u8]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn heatmap(rows: u32, columns: u32, weights: &[f32]) -> Heatmap {
        Heatmap {
            title: "dog".into(),
            rows,
            columns,
            weights: weights.into(),
        }
    }

    #[test]
    fn weights_are_interpolated_between_centers() {
        let map = heatmap(2, 2, &[0.0, 1.0, 2.0, 5.0]);
        let weight = |x, y| map.bilinear(x, y);
        assert_eq!((weight(0.0, 0.0), weight(1.0, 1.0)), (0.0, 5.0));
        assert_eq!(
            (weight(0.5, 0.0), weight(0.0, 0.5), weight(0.5, 0.5)),
            (0.5, 1.0, 2.0)
        );
        assert_eq!((weight(-0.5, -0.5), weight(1.5, 1.5)), (0.0, 5.0));
    }

    #[test]
    fn largest_weight_has_the_last_color() {
        assert_eq!(color(0.0), [0, 0, 4, 122]);
        assert_eq!(color(1.0), [252, 255, 164, 184]);
        assert_eq!(color(0.5)[..3], INFERNO[4]);
        // Normalized: the same map times any factor gives the same image.
        let layer = |factor: f32| {
            heatmap(1, 3, &[0.0, factor, 2.0 * factor])
                .layer((30.0, 10.0))
                .unwrap()
                .into_string()
        };
        assert_eq!(layer(1.0), layer(0.25));
        assert!(layer(0.0).contains("<image") && layer(f32::MAX / 4.0).contains("<image"));
        assert_ne!(layer(0.0), layer(1.0));
    }

    #[test]
    fn errors_name_the_weight() {
        let message = |map: Heatmap| map.check().unwrap_err().to_string();
        assert_eq!(
            message(heatmap(2, 3, &[0.0; 5])),
            "heat map \"dog\": 5 values for a grid of 2x3 (rows x columns); expected 6, rows and columns above 0"
        );
        assert!(message(heatmap(0, 3, &[])).contains("0x3"));
        assert_eq!(
            message(heatmap(1, 2, &[0.1, f32::NAN])),
            "heat map \"dog\": the weight of row 0, column 1 is NaN; weights must be finite and 0 or more"
        );
        assert!(heatmap(1, 2, &[0.1, -0.1]).check().is_err());
        assert!(heatmap(1, 2, &[0.1, 0.0]).check().is_ok());
    }
}
