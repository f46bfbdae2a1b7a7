//! Horizontal bars with a text and a value.

use maud::{Markup, html};

/// One bar, filled to `fraction` in 0..=1; a fraction that is not finite leaves it empty.
pub(crate) fn bar(text: &str, fraction: f64, value: &str) -> Markup {
    highlighted_bar(text, fraction, value, false)
}

/// A [`bar`], emphasized where `is_hit`.
pub(crate) fn highlighted_bar(text: &str, fraction: f64, value: &str, is_hit: bool) -> Markup {
    let percentage = if fraction.is_finite() {
        fraction.clamp(0.0, 1.0) * 100.0
    } else {
        0.0
    };
    html! {
        div.bar.hit[is_hit] {
            span { (text) }
            i { i style={ "width:" (format_args!("{percentage:.1}")) "%" } {} }
            span { (value) }
        }
    }
}
