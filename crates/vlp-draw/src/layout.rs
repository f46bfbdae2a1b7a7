//! The parts that every page has: head, styles, summary and notes.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// The whole page; `style` is CSS in addition to the styles that all pages share.
pub(crate) fn page(title: &str, style: &str, content: &Markup) -> String {
    printable(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(style)) }
            }
            body {
                main {
                    h1 { (title) }
                    (content)
                }
            }
        }
    })
}

/// The markup with U+FFFD in place of control characters, which HTML and XML do not allow even when escaped.
pub(crate) fn printable(markup: Markup) -> String {
    let is_forbidden = |c: char| match c {
        '\n' | '\t' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    };
    markup.into_string().replace(is_forbidden, "\u{fffd}")
}

/// Short facts as (name, value).
pub(crate) fn summary(facts: &[(String, String)]) -> Markup {
    html! {
        @if !facts.is_empty() {
            dl.summary {
                @for (name, value) in facts {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    }
}

/// The notes at the end of a page.
pub(crate) fn notes(notes: &[String]) -> Markup {
    html! {
        @if !notes.is_empty() {
            section {
                h2 { "Notes" }
                ul.notes { @for note in notes { li { (note) } } }
            }
        }
    }
}

/// The CSS class of an image that is shown enlarged: its pixels stay sharp.
pub(crate) fn pixelated(is_enlarged: bool) -> Option<&'static str> {
    is_enlarged.then_some("pixelated")
}

/// A text, or the word "empty" for a blank one.
pub(crate) fn text_or_empty(text: &str) -> Markup {
    html! {
        @if text.trim().is_empty() { i.detail { "empty" } } @else { (text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        let text = "a\0\u{1b}\u{85}\u{ffff}<\n\t";
        assert_eq!(
            printable(html! { (text) }),
            "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}&lt;\n\t"
        );
    }
}
