//! The spelling of matched text as a token.

/// Replacements in matched text; all tokens are lower-cased afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// No replacement.
    Same,
    /// Without soft hyphens.
    Word,
    /// `&amp;` becomes `&`.
    Ampersand,
    /// Spaces become no-break spaces, parentheses `-lrb-` and `-rrb-`.
    Spaced,
    /// ¢, £ and € become `cents`, `#` and `$`.
    Currency,
    /// Vulgar fractions become digits.
    Fraction,
    /// Quotation marks become runs of `` ` `` and `'`.
    Quotes,
    /// Brackets become `-lrb-`, `-rrb-` (round), `s` (square) or `c` (curly).
    Bracket,
    /// The token is this character.
    Entity(&'static str),
    /// No token.
    Dropped,
}

/// The token for matched text, empty if there is none.
pub(super) fn spell(spelling: Spelling, text: &str) -> String {
    match spelling {
        Spelling::Same => text.to_owned(),
        Spelling::Word => {
            let word = text.replace('\u{AD}', "");
            if word.is_empty() {
                "-".to_owned()
            } else {
                word
            }
        }
        Spelling::Ampersand => replace_entity(text, "&amp;", "&"),
        Spelling::Spaced => text
            .replace(' ', "\u{A0}")
            .replace('(', "-lrb-")
            .replace(')', "-rrb-"),
        Spelling::Currency => map_chars(text, |c| match c {
            '¢' => Some("cents"),
            '£' => Some("#"),
            '\u{80}' | '¤' | '₠' | '€' => Some("$"),
            _ => None,
        }),
        Spelling::Fraction => map_chars(text, |c| match c {
            '¼' => Some("1/4"),
            '½' => Some("1/2"),
            '¾' => Some("3/4"),
            '⅓' => Some("1/3"),
            '⅔' => Some("2/3"),
            _ => None,
        }),
        Spelling::Quotes => {
            map_chars(
                &text.replace("&apos;", "'").replace("&quot;", "''"),
                |c| match c {
                    '\u{91}' | '‘' | '‛' | '‹' => Some("`"),
                    '\u{92}' | '’' | '›' => Some("'"),
                    '\u{93}' | '“' | '«' => Some("``"),
                    '"' | '\u{94}' | '”' | '»' => Some("''"),
                    _ => None,
                },
            )
        }
        Spelling::Bracket => map_chars(text, |c| match c {
            '(' => Some("-lrb-"),
            ')' => Some("-rrb-"),
            '[' => Some("-lsb-"),
            ']' => Some("-rsb-"),
            '{' => Some("-lcb-"),
            '}' => Some("-rcb-"),
            _ => None,
        }),
        Spelling::Entity(character) => character.to_owned(),
        Spelling::Dropped => String::new(),
    }
}

fn map_chars(text: &str, map: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match map(c) {
            Some(s) => out.push_str(s),
            None => out.push(c),
        }
    }
    out
}

/// Replaces an ASCII entity in any case.
fn replace_entity(text: &str, entity: &str, replacement: &str) -> String {
    let mut out = text.to_owned();
    while let Some(start) = out.to_ascii_lowercase().find(entity) {
        out.replace_range(start..start + entity.len(), replacement);
    }
    out
}
