//! One colour per class name.

use std::fmt;

/// An sRGB colour; displays as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colour(
    /// Red, green, blue.
    pub [u8; 3],
);

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

/// Twelve hues 30 degrees apart in OKLCH at two lightnesses (0.55 and 0.42), chroma at most 0.17:
/// white text on any of them has a contrast of 4.5:1 or more (WCAG 2 AA).
const PALETTE: [[u8; 3]; 24] = [
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

/// The colour of a class name: the same in every picture, run and version of a page.
///
/// One of 24 colours that all bear white text; two names may share one.
///
/// ```
/// assert_eq!(vlp_draw::colour_of("dog"), vlp_draw::colour_of("dog"));
/// assert_eq!(vlp_draw::Colour([255, 128, 0]).to_string(), "#ff8000");
/// ```
#[must_use]
pub fn colour_of(label: &str) -> Colour {
    // FNV-1a with a final mix: the standard hasher's output may change between releases.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in label.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let index = (hash >> 24) as usize % PALETTE.len();
    Colour(PALETTE[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(colour: [u8; 3]) -> f64 {
        let linear = |byte: u8| {
            let value = f64::from(byte) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
    }

    #[test]
    fn white_text_is_readable_on_every_colour() {
        for colour in PALETTE {
            let contrast = 1.05 / (luminance(colour) + 0.05);
            assert!(contrast >= 4.5, "{}: {contrast:.2}", Colour(colour));
        }
    }

    #[test]
    fn colours_are_spread_and_fixed() {
        let names = [
            "person", "dog", "cat", "car", "bus", "chair", "cup", "book", "horse", "kite",
        ];
        let mut colours: Vec<_> = names.iter().map(|name| colour_of(name).0).collect();
        colours.sort_unstable();
        colours.dedup();
        assert!(
            colours.len() >= 7,
            "ten common classes share {} colours",
            colours.len()
        );
        // Golden: pages of different runs are compared side by side, so a colour must never move.
        assert_eq!(colour_of("dog").to_string(), "#037ca5");
    }
}
