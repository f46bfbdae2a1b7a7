//! Numbers as pages print them.

/// A whole number with thousands separators: 12,345.
pub(crate) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction as a percentage with two or three significant digits.
pub(crate) fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    match value {
        v if v >= 9.95 => format!("{v:.0}%"),
        v if v >= 0.995 => format!("{v:.1}%"),
        v if v >= 0.0995 => format!("{v:.2}%"),
        v if v >= 0.001 => format!("{v:.3}%"),
        v if v > 0.0 => "<0.001%".to_owned(),
        _ => "0%".to_owned(),
    }
}

/// A probability with two decimals; `<0.01` if it is small but not 0.
pub(crate) fn probability(value: f32) -> String {
    if value > 0.0 && value < 0.005 {
        "<0.01".to_owned()
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [7, 1234, 1_234_567].map(grouped),
            ["7", "1,234", "1,234,567"]
        );
        let fractions = [0.5, 0.0312, 0.00312, 0.000_049, 1e-9, 0.0];
        assert_eq!(
            fractions.map(percent),
            ["50%", "3.1%", "0.31%", "0.005%", "<0.001%", "0%"]
        );
        assert_eq!(
            [0.75, 0.001, 0.0].map(probability),
            ["0.75", "<0.01", "0.00"]
        );
    }
}
