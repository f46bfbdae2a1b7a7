//! Wall times of one side.

use serde_json::Value;

/// Least and median time in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    pub(super) least: f64,
    /// The mean of the middle two of an even number.
    pub(super) median: f64,
}

impl Times {
    /// `None` without times.
    pub(super) fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let last = seconds.len().checked_sub(1)?;
        Some(Self {
            least: seconds[0],
            median: f64::midpoint(seconds[last / 2], seconds[seconds.len() / 2]),
        })
    }
}

/// The wall times of an answer, in seconds.
pub(super) fn seconds(answer: &Value) -> Vec<f64> {
    let list = answer.get("seconds").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let times = |least, median| Some(Times { least, median });
        assert_eq!(Times::of(vec![3.0, 1.0, 2.5]), times(1.0, 2.5));
        assert_eq!(Times::of(vec![4.0, 1.0, 2.0, 3.0]), times(1.0, 2.5));
        assert_eq!(Times::of(vec![0.5]), times(0.5, 0.5));
        assert_eq!(Times::of(vec![]), None);
    }
}
