//! Shared by all SVG drawings: coordinates, the font and estimated text widths.

use std::fmt;

/// Fonts of all text in SVG.
pub(crate) const FONT_FAMILY: &str =
    "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif";

/// A coordinate or length, printed with one decimal.
pub(crate) struct Px(pub(crate) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.0)
    }
}

/// Estimated width of text in a sans-serif font, in multiples of the font size. Rather too large than too small.
pub(crate) fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' => 0.32,
            'f' | 'r' | 't' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' => 0.4,
            'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.95,
            'A'..='Z' => 0.72,
            ' '..='~' => 0.6,
            // Latin, Greek and Cyrillic letters are about as wide as ASCII letters; other scripts are wider.
            c if c < '\u{530}' => 0.7,
            _ => 1.05,
        })
        .sum()
}

/// The text, or its longest prefix with an ellipsis that is at most `width` font sizes wide;
/// empty if not even one letter fits.
pub(crate) fn truncate(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut prefix = String::new();
    for c in text.chars() {
        prefix.push(c);
        prefix.push('…');
        let too_wide = text_width(&prefix) > width;
        prefix.pop();
        if too_wide {
            prefix.pop();
            break;
        }
    }
    if !prefix.is_empty() {
        prefix.truncate(prefix.trim_end().len());
        prefix.push('…');
    }
    prefix
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn truncated_text_fits(text in any::<String>(), width in 0.0..40.0) {
            let truncated = truncate(&text, width);
            prop_assert!(text_width(&truncated) <= width);
            let prefix = truncated.strip_suffix('…').unwrap_or(&truncated);
            prop_assert!(text.starts_with(prefix));
        }
    }
}
