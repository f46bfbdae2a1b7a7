//! Text made safe for HTML and SVG.

use std::fmt;

/// Displays text with everything escaped that HTML or XML could take for markup, in text as in
/// quoted attributes. Control characters, which neither may hold, become U+FFFD.
pub(crate) struct Esc<'a>(pub(crate) &'a str);

impl fmt::Display for Esc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(c)?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c if c.is_control() => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Estimated width of text in a sans-serif face, in units of the font size, on the generous side.
pub(crate) fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' => 0.32,
            'f' | 'r' | 't' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' => 0.4,
            'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.95,
            'A'..='Z' => 0.72,
            ' '..='~' => 0.6,
            // Latin, Greek and Cyrillic letters are about as wide as ASCII's; other scripts wider.
            c if c < '\u{530}' => 0.7,
            _ => 1.05,
        })
        .sum()
}

/// The text, or its longest beginning and an ellipsis that is at most `width` font sizes wide;
/// empty where not even one letter fits.
pub(crate) fn fit(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        short.push('…');
        let too_wide = text_width(&short) > width;
        short.pop();
        if too_wide {
            short.pop();
            break;
        }
    }
    if !short.is_empty() {
        short.truncate(short.trim_end().len());
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_is_escaped() {
        let hostile = "</script><img src=x onerror=\"a('&')\">\0";
        let safe =
            "&lt;/script&gt;&lt;img src=x onerror=&quot;a(&#39;&amp;&#39;)&quot;&gt;\u{fffd}";
        assert_eq!(Esc(hostile).to_string(), safe);
    }

    proptest! {
        #[test]
        fn nothing_special_remains(text in any::<String>()) {
            let safe = Esc(&text).to_string();
            prop_assert!(!safe.contains(['<', '>', '"', '\'']));
            prop_assert!(!safe.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }

        #[test]
        fn fitted_text_fits(text in any::<String>(), width in 0.0..40.0) {
            let short = fit(&text, width);
            prop_assert!(text_width(&short) <= width);
            let kept = short.strip_suffix('…').unwrap_or(&short);
            prop_assert!(text.starts_with(kept));
        }
    }
}
