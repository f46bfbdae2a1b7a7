//! One color per class name.

use std::fmt;

/// An sRGB color; displays as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color(
    /// Red, green, blue.
    pub [u8; 3],
);

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

/// Twelve hues 30 degrees apart in OKLCH at two lightnesses (0.55 and 0.42), chroma at most 0.17.
/// White text on each of them has a contrast of at least 4.5:1 (WCAG 2 AA).
const CLASS_COLORS: [[u8; 3]; 24] = [
    [0xc1, 0x3a, 0x46],
    [0xb2, 0x52, 0x01],
    [0x94, 0x69, 0x03],
    [0x76, 0x77, 0x00],
    [0x2d, 0x88, 0x10],
    [0x04, 0x85, 0x68],
    [0x03, 0x81, 0x87],
    [0x03, 0x7c, 0xa5],
    [0x2f, 0x6d, 0xd3],
    [0x73, 0x5a, 0xcc],
    [0x9b, 0x49, 0xae],
    [0xb5, 0x3c, 0x7f],
    [0x93, 0x01, 0x23],
    [0x7b, 0x37, 0x00],
    [0x65, 0x47, 0x02],
    [0x50, 0x51, 0x01],
    [0x18, 0x5d, 0x00],
    [0x00, 0x5b, 0x46],
    [0x01, 0x58, 0x5c],
    [0x02, 0x55, 0x71],
    [0x01, 0x45, 0xa7],
    [0x50, 0x31, 0xa1],
    [0x73, 0x1f, 0x85],
    [0x8a, 0x08, 0x5a],
];

/// The color of a class name: the same in every image, run and version of a page.
///
/// One of 24 colors on which white text is readable; two names may have the same color.
///
/// ```
/// assert_eq!(vlp_draw::class_color("dog"), vlp_draw::class_color("dog"));
/// assert_eq!(vlp_draw::Color([255, 128, 0]).to_string(), "#ff8000");
/// ```
#[must_use]
pub fn class_color(label: &str) -> Color {
    // FNV-1a with a final mix: the output of the standard hasher may change between releases.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in label.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let index = (hash >> 24) as usize % CLASS_COLORS.len();
    Color(CLASS_COLORS[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palette::luminance;

    #[test]
    fn white_text_is_readable_on_every_color() {
        for color in CLASS_COLORS {
            let contrast = 1.05 / (luminance(Color(color)) + 0.05);
            assert!(contrast >= 4.5, "{}: {contrast:.2}", Color(color));
        }
    }

    #[test]
    fn common_classes_have_different_colors() {
        let names = [
            "person", "dog", "cat", "car", "bus", "chair", "cup", "book", "horse", "kite",
        ];
        let mut colors: Vec<_> = names.iter().map(|name| class_color(name).0).collect();
        colors.sort_unstable();
        colors.dedup();
        assert!(
            colors.len() >= 7,
            "ten common classes have {} colors",
            colors.len()
        );
        // Golden value: pages of different runs are compared side by side.
        assert_eq!(class_color("dog").to_string(), "#037ca5");
    }
}
