//! Colours for the codes of a visual dictionary.

use crate::Colour;

/// Codes with a colour of their own; code `n` shares that of code `n % CODE_COLOURS`.
pub const CODE_COLOURS: usize = 8192;

/// Lattice of sRGB values that the colours are taken from.
const STEP: usize = 9;
/// Lightness and chroma in OKLab: neither lost in a dark or a light picture, nor grey.
const LIGHTNESS: std::ops::RangeInclusive<f64> = 0.45..=0.88;
const CHROMA: f64 = 0.06;

/// A colour for each of `count` codes, told apart as well as so many can be; at most
/// [`CODE_COLOURS`] of them.
///
/// Each colour is the one farthest in OKLab from all before it (a and b counted twofold, as hue is
/// seen better than lightness), so the first are the farthest apart, and code `n` has one colour in
/// dictionaries of any size.
///
/// ```
/// let colours = vlp_draw::code_colours(64);
/// assert_eq!(colours.len(), 64);
/// assert_eq!(colours, vlp_draw::code_colours(2048)[..64]);
/// ```
#[must_use]
pub fn code_colours(count: usize) -> Vec<Colour> {
    let candidates = candidates();
    // Squared distance of each candidate to the nearest colour taken so far.
    let mut distance = vec![i32::MAX; candidates.len()];
    let mut next = 0;
    let mut colours = Vec::new();
    while colours.len() < count.min(CODE_COLOURS).min(candidates.len()) {
        let (rgb, taken) = candidates[next];
        colours.push(Colour(rgb));
        let mut farthest = -1;
        for (i, ((_, lab), near)) in candidates.iter().zip(&mut distance).enumerate() {
            let delta = [lab[0] - taken[0], lab[1] - taken[1], lab[2] - taken[2]];
            *near = (*near).min(delta[0] * delta[0] + delta[1] * delta[1] + delta[2] * delta[2]);
            // The first of equals: the order does not depend on anything but the lattice.
            if *near > farthest {
                (farthest, next) = (*near, i);
            }
        }
    }
    colours
}

/// The colours that may be taken, as sRGB and OKLab in 1/4096 with a and b doubled. Whole numbers
/// make the order the same on every machine.
fn candidates() -> Vec<([u8; 3], [i32; 3])> {
    let levels = || (0..256).step_by(STEP);
    let linear: Vec<f64> = (0..256).map(|byte| linear(byte as u8)).collect();
    let mut found = Vec::new();
    for (r, g, b) in
        levels().flat_map(|r| levels().flat_map(move |g| levels().map(move |b| (r, g, b))))
    {
        let [lightness, a, b_axis] = oklab([linear[r], linear[g], linear[b]]);
        if LIGHTNESS.contains(&lightness) && a.hypot(b_axis) >= CHROMA {
            let whole = [lightness, 2.0 * a, 2.0 * b_axis].map(|v| (v * 4096.0).round() as i32);
            found.push(([r as u8, g as u8, b as u8], whole));
        }
    }
    found
}

/// An sRGB sample as linear light in 0..=1.
pub(crate) fn linear(byte: u8) -> f64 {
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

/// The colour of a code.
pub(crate) struct Palette(Vec<Colour>);

impl Palette {
    /// Colours for these codes.
    pub(crate) fn of(codes: impl Iterator<Item = usize>) -> Self {
        let last = codes.map(|code| code % CODE_COLOURS).max();
        Self(code_colours(last.map_or(0, |last| last + 1)))
    }

    /// The colour of a code among those the palette was made for; grey for another.
    pub(crate) fn get(&self, code: usize) -> Colour {
        let known = self.0.get(code % CODE_COLOURS);
        known.copied().unwrap_or(Colour([128; 3]))
    }

    /// Black or white, whichever is read better on the colour of the code.
    pub(crate) fn ink(&self, code: usize) -> &'static str {
        let [r, g, b] = self.get(code).0.map(linear);
        // Where the contrasts with black and with white are equal (WCAG 2).
        if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 {
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
    fn every_code_has_its_own_colour() {
        let mut colours: Vec<_> = code_colours(CODE_COLOURS + 5).iter().map(|c| c.0).collect();
        assert_eq!(colours.len(), CODE_COLOURS);
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), CODE_COLOURS);
    }

    #[test]
    fn few_codes_are_far_apart() {
        let apart = |count| {
            let labs: Vec<_> = code_colours(count)
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
        // A difference of 0.02 can just be noticed (CSS Color 4); these leave room for a picture
        // shining through.
        assert!(apart(8) > 0.3, "{}", apart(8));
        assert!(apart(64) > 0.1, "{}", apart(64));
        assert!(apart(512) > 0.04, "{}", apart(512));
    }

    #[test]
    fn colours_are_fixed() {
        // Golden: maps of different runs are compared side by side.
        let first: Vec<_> = code_colours(4).iter().map(ToString::to_string).collect();
        assert_eq!(first, ["#0009fc", "#00fc00", "#fc003f", "#b4d8fc"]);
    }

    #[test]
    fn huge_codes_are_drawn() {
        let palette = Palette::of([3, usize::MAX].into_iter());
        assert_eq!(palette.get(usize::MAX), palette.get(CODE_COLOURS - 1));
        assert_ne!(palette.get(3), palette.get(usize::MAX));
    }
}
