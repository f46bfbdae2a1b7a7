//! Metrics, durations and paths as text.

use std::path::Path;

/// A metric with three decimals; `-` if it is undefined.
pub fn format_metric(value: Option<f64>) -> String {
    // Rounding first avoids "-0.000" for values just below zero.
    value.map_or("-".into(), |v| {
        format!("{:.3}", (v * 1000.0).round() / 1000.0 + 0.0)
    })
}

/// Usual width of the column of the names of metrics.
pub const NAME_WIDTH: usize = 34;

/// Width of the column of these names of metrics.
pub fn name_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let lengths = names.map(|name| name.chars().count());
    lengths.fold(NAME_WIDTH, usize::max)
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

/// A path as a word of a shell's command line: in single quotes if it has other characters than usual ones.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_usual = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    match !text.is_empty() && text.chars().all(is_usual) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_unusual_characters_are_quoted() {
        for (path, word) in [
            ("runs/a-1_b.c", "runs/a-1_b.c"),
            ("my runs/a", "'my runs/a'"),
            ("it's", "'it'\\''s'"),
            ("$a", "'$a'"),
            ("\u{e9}t\u{e9}", "\u{e9}t\u{e9}"),
        ] {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }

    #[test]
    fn long_names_widen_their_column() {
        let long = "detection/visual_genome/class_accuracy";
        assert_eq!(name_width(["itm/accuracy"].into_iter()), NAME_WIDTH);
        assert_eq!(name_width(["itm/accuracy", long].into_iter()), long.len());
    }

    #[test]
    fn undefined_and_tiny_metrics_are_readable() {
        let texts = [None, Some(-1e-9), Some(0.12345), Some(1.0)].map(format_metric);
        assert_eq!(texts, ["-", "0.000", "0.123", "1.000"]);
    }
}
