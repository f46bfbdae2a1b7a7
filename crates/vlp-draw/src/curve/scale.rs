//! Axes: a linear map from values to pixels, round ticks and short numbers.

/// A linear axis over the finite, non-empty range `lo..=hi`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    lo: f64,
    hi: f64,
}

impl Scale {
    /// The axis over finite values; a range too small to divide is widened.
    pub(crate) fn new(lo: f64, hi: f64) -> Self {
        // Halved, as the difference of two finite numbers may overflow.
        let (half, size) = (hi / 2.0 - lo / 2.0, lo.abs().max(hi.abs()));
        if half > size * 1e-9 && half > 1e-290 {
            return Self { lo, hi };
        }
        let margin = if size < 1e-280 { 1.0 } else { size / 10.0 };
        Self {
            lo: (lo - margin).max(f64::MIN),
            hi: (hi + margin).min(f64::MAX),
        }
    }

    /// The position of a finite value: 0 at the low end, 1 at the high end.
    pub(crate) fn position(&self, value: f64) -> f64 {
        (value / 2.0 - self.lo / 2.0) / (self.hi / 2.0 - self.lo / 2.0)
    }

    /// Round values within the axis, about `count` of them (1 to 10), with their labels.
    pub(crate) fn ticks(&self, count: u32) -> Vec<(f64, String)> {
        let raw = (self.hi / 2.0 - self.lo / 2.0) / f64::from(count) * 2.0;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .iter()
            .map(|m| m * power)
            .find(|s| *s >= raw)
            .unwrap_or(raw);
        if !(step.is_finite() && step > 0.0) {
            return vec![(self.lo, short(self.lo)), (self.hi, short(self.hi))];
        }
        let size = self.lo.abs().max(self.hi.abs());
        let first = (self.lo / step).ceil();
        (0..=count + 1)
            .map(|i| (first + f64::from(i)) * step)
            .filter(|value| *value >= self.lo && *value <= self.hi)
            .map(|value| (value, label(value, step, size)))
            .collect()
    }
}

/// The label of a tick on an axis up to `size`: as many decimals as the step between ticks needs.
fn label(value: f64, step: f64, size: f64) -> String {
    // Multiples of the step are inexact: 0 may come out as a tiny remainder.
    if value.abs() < step / 2.0 {
        return "0".to_owned();
    }
    // Outside this range exponents are shorter.
    if !(1e-2..1e8).contains(&size) || step < 1e-5 {
        return exponent(value);
    }
    let (value, step, suffix) = if step >= 1e6 || (step >= 1e5 && size >= 1e6) {
        (value / 1e6, step / 1e6, "M")
    } else if step >= 1e3 || (step >= 100.0 && size >= 1e4) {
        (value / 1e3, step / 1e3, "k")
    } else {
        (value, step, "")
    };
    let decimals = (-(step * 1.0001).log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}{suffix}")
}

/// A number with about four significant digits; `NaN`, `inf` and `-inf` unchanged.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return value.to_string();
    }
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return exponent(value);
    }
    let decimals = match size {
        0.0 => 0,
        s if s < 1.0 => 4,
        s if s < 10.0 => 3,
        s if s < 100.0 => 2,
        s if s < 1000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A number like `1.23e-4`, without trailing zeros.
fn exponent(value: f64) -> String {
    let text = format!("{value:.2e}");
    text.split_once('e')
        .map_or(text.clone(), |(digits, power)| {
            format!(
                "{}e{power}",
                digits.trim_end_matches('0').trim_end_matches('.')
            )
        })
}

#[cfg(test)]
mod tests {
    use proptest::{num::f64::NORMAL, prelude::*};

    use super::*;

    fn labels(lo: f64, hi: f64) -> Vec<String> {
        Scale::new(lo, hi)
            .ticks(4)
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(0.0, 1.0), ["0", "0.5", "1.0"]);
        assert_eq!(labels(0.13, 2.4), ["1", "2"]);
        assert_eq!(labels(-3.0, 3.0), ["-2", "0", "2"]);
        assert_eq!(labels(1.0, 100_000.0), ["50k", "100k"]);
        assert_eq!(labels(0.0, 9_000.0), ["0", "5k"]);
        assert_eq!(labels(0.0, 350.0), ["0", "100", "200", "300"]);
        assert_eq!(labels(0.0, 1e-4), ["0", "5e-5", "1e-4"]);
    }

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (2.0, "2"),
            (2.34567, "2.346"),
            (0.05, "0.05"),
            (31.416, "31.42"),
            (123.44, "123.4"),
            (12_345.6, "12346"),
            (1e-4, "1e-4"),
            (1.234e7, "1.23e7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    proptest! {
        #[test]
        fn any_range_has_ordered_ticks_inside(a in NORMAL, b in NORMAL, near in any::<bool>()) {
            let (lo, hi) = if near { (a, a * (1.0 + 1e-15)) } else { (a, b) };
            let (lo, hi) = (lo.min(hi), lo.max(hi).min(f64::MAX));
            let scale = Scale::new(lo.max(f64::MIN), hi);
            for value in [lo, hi] {
                prop_assert!((-1e-9..=1.0 + 1e-9).contains(&scale.position(value)), "{value} in {scale:?}");
            }
            let ticks = scale.ticks(4);
            prop_assert!(ticks.len() <= 6);
            prop_assert!(ticks.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (value, label) in ticks {
                prop_assert!((0.0..=1.0).contains(&scale.position(value)) && label.len() <= 12, "{label}");
            }
        }
    }
}
