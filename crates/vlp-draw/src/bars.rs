//! Horizontal bars with a text and a figure.

use std::fmt::Write;

use crate::html::Esc;

/// One bar, filled to `fraction` in 0..=1; a fraction that is not finite leaves it empty.
pub(crate) fn bar(out: &mut String, class: &str, text: &str, fraction: f64, figure: &str) {
    let share = if fraction.is_finite() {
        fraction.clamp(0.0, 1.0) * 100.0
    } else {
        0.0
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<div class=\"bar{class}\"><span>{}</span><i><i style=\"width:{share:.1}%\"></i></i><span>{}</span></div>",
        Esc(text),
        Esc(figure)
    );
}

/// A probability with two decimals, or that it is below them.
pub(crate) fn probability(value: f32) -> String {
    if value > 0.0 && value < 0.005 {
        "<0.01".to_owned()
    } else {
        format!("{value:.2}")
    }
}
