//! Colors for the codes of a visual dictionary.

use crate::Color;

/// Number of codes with distinct colors; code `n` has the color of code `n % DISTINCT_CODE_COLORS`.
pub const DISTINCT_CODE_COLORS: usize = 8192;

/// Step of the lattice of sRGB values that the colors are taken from.
const STEP: usize = 9;
/// Range of lightness and minimum chroma in OKLab: visible on dark and on light images, and not gray.
const LIGHTNESS: std::ops::RangeInclusive<f64> = 0.45..=0.88;
const MIN_CHROMA: f64 = 0.06;

/// A color for each of `count` codes, as different as possible; at most [`DISTINCT_CODE_COLORS`] of them.
///
/// Farthest-point sampling in OKLab: each color is the one farthest from all before it. The axes a and b count
/// double, as hue is easier to see than lightness. So the first colors differ most, and code `n` has the
/// same color in dictionaries of any size.
///
/// ```
/// let colors = vlp_draw::code_colors(64);
/// assert_eq!(colors.len(), 64);
/// assert_eq!(colors, vlp_draw::code_colors(2048)[..64]);
/// ```
#[must_use]
pub fn code_colors(count: usize) -> Vec<Color> {
    let candidates = candidates();
    // Squared distance of each candidate to the nearest chosen color.
    let mut distances = vec![i32::MAX; candidates.len()];
    let mut next = 0;
    let mut colors = Vec::new();
    while colors.len() < count.min(DISTINCT_CODE_COLORS).min(candidates.len()) {
        let (rgb, chosen) = candidates[next];
        colors.push(Color(rgb));
        let mut farthest = -1;
        for (i, ((_, lab), distance)) in candidates.iter().zip(&mut distances).enumerate() {
            let delta = [lab[0] - chosen[0], lab[1] - chosen[1], lab[2] - chosen[2]];
            let squared = delta.iter().map(|d| d * d).sum();
            *distance = (*distance).min(squared);
            // Among equals the first, so that the order depends on the lattice only.
            if *distance > farthest {
                (farthest, next) = (*distance, i);
            }
        }
    }
    colors
}

/// The possible colors as sRGB and as OKLab in units of 1/4096 with a and b doubled. Integers make the order the
/// same on every machine.
fn candidates() -> Vec<([u8; 3], [i32; 3])> {
    let levels = || (0..256).step_by(STEP);
    let linear: Vec<f64> = (0..256).map(|byte| linear(byte as u8)).collect();
    let mut candidates = Vec::new();
    for (r, g, b) in
        levels().flat_map(|r| levels().flat_map(move |g| levels().map(move |b| (r, g, b))))
    {
        let [lightness, a, b_axis] = oklab([linear[r], linear[g], linear[b]]);
        if LIGHTNESS.contains(&lightness) && a.hypot(b_axis) >= MIN_CHROMA {
            let rounded = [lightness, 2.0 * a, 2.0 * b_axis].map(|v| (v * 4096.0).round() as i32);
            candidates.push(([r as u8, g as u8, b as u8], rounded));
        }
    }
    candidates
}

/// Relative luminance in 0..=1 (WCAG 2).
pub(crate) fn luminance(color: Color) -> f64 {
    let [r, g, b] = color.0.map(linear);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// An sRGB sample as linear light in 0..=1.
fn linear(byte: u8) -> f64 {
    let value = f64::from(byte) / 255.0;
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// OKLab of linear sRGB (Ottosson 2020, "A perceptual color space for image processing").
fn oklab([r, g, b]: [f64; 3]) -> [f64; 3] {
    let l = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
    let m = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
    let s = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
    [
        0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
        1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
        0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
    ]
}

/// The colors of codes.
pub(crate) struct Palette(Vec<Color>);

impl Palette {
    pub(crate) fn for_codes(codes: impl Iterator<Item = usize>) -> Self {
        let last = codes.map(|code| code % DISTINCT_CODE_COLORS).max();
        Self(code_colors(last.map_or(0, |last| last + 1)))
    }

    /// The color of a code; gray for one that the palette was not built for.
    pub(crate) fn get(&self, code: usize) -> Color {
        let color = self.0.get(code % DISTINCT_CODE_COLORS);
        color.copied().unwrap_or(Color([128; 3]))
    }

    /// Black or white, whichever has more contrast with the color of the code.
    pub(crate) fn text_color(&self, code: usize) -> &'static str {
        // At this luminance the contrasts with black and with white are equal (WCAG 2).
        if luminance(self.get(code)) > 0.179 {
            "#000"
        } else {
            "#fff"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_codes_up_to_the_limit_differ_in_color() {
        let mut colors: Vec<_> = code_colors(DISTINCT_CODE_COLORS + 5)
            .iter()
            .map(|c| c.0)
            .collect();
        assert_eq!(colors.len(), DISTINCT_CODE_COLORS);
        colors.sort_unstable();
        colors.dedup();
        assert_eq!(colors.len(), DISTINCT_CODE_COLORS);
    }

    #[test]
    fn first_codes_differ_most() {
        let min_distance = |count| {
            let labs: Vec<_> = code_colors(count)
                .iter()
                .map(|c| oklab(c.0.map(linear)))
                .collect();
            let pairs = (0..count).flat_map(|i| (0..i).map(move |j| (i, j)));
            pairs
                .map(|(i, j)| {
                    let d = |k: usize| labs[i][k] - labs[j][k];
                    (d(0).powi(2) + 4.0 * d(1).powi(2) + 4.0 * d(2).powi(2)).sqrt()
                })
                .fold(f64::MAX, f64::min)
        };
        // A difference of 0.02 is just noticeable (CSS Color 4); tinted images need more.
        assert!(min_distance(8) > 0.3, "{}", min_distance(8));
        assert!(min_distance(64) > 0.1, "{}", min_distance(64));
        assert!(min_distance(512) > 0.04, "{}", min_distance(512));
    }

    #[test]
    fn code_colors_do_not_change() {
        // Golden values: images of different runs are compared side by side.
        let first: Vec<_> = code_colors(4).iter().map(ToString::to_string).collect();
        assert_eq!(first, ["#0009fc", "#00fc00", "#fc003f", "#b4d8fc"]);
    }

    #[test]
    fn codes_beyond_the_limit_wrap_around() {
        let palette = Palette::for_codes([3, usize::MAX].into_iter());
        assert_eq!(
            palette.get(usize::MAX),
            palette.get(DISTINCT_CODE_COLORS - 1)
        );
        assert_ne!(palette.get(3), palette.get(usize::MAX));
    }
}
