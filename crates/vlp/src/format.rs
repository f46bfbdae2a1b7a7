//! Metrics and durations as text.

/// A metric with three decimals; `-` if it is undefined.
pub fn format_metric(value: Option<f64>) -> String {
    // Rounding first avoids "-0.000" for values just below zero.
    value.map_or("-".into(), |v| {
        format!("{:.3}", (v * 1000.0).round() / 1000.0 + 0.0)
    })
}

/// `75.0` as `1m15s`.
pub fn format_duration(seconds: f64) -> String {
    let total = seconds.round().max(0.0) as u64;
    match (total / 3600, total / 60 % 60, total % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_and_tiny_metrics_are_readable() {
        let texts = [None, Some(-1e-9), Some(0.12345), Some(1.0)].map(format_metric);
        assert_eq!(texts, ["-", "0.000", "0.123", "1.000"]);
    }
}
