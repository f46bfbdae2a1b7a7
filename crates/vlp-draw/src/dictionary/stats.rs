//! How evenly the codes of a dictionary are used.

use std::fmt::Write;

use super::CodeCard;

/// Codes sorted by use.
pub(super) struct Usage<'a> {
    /// Most used first; codes of equal use in order of their numbers.
    sorted: Vec<&'a CodeCard>,
    used: usize,
    total: u128,
}

impl<'a> Usage<'a> {
    pub(super) fn of(codes: &'a [CodeCard]) -> Self {
        let mut sorted: Vec<_> = codes.iter().collect();
        sorted.sort_by_key(|card| (std::cmp::Reverse(card.uses), card.code));
        Self {
            used: sorted.partition_point(|card| card.uses > 0),
            total: sorted.iter().map(|card| u128::from(card.uses)).sum(),
            sorted,
        }
    }

    /// Number of codes, dead ones too.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Codes with a use, most used first.
    pub(super) fn used(&self) -> &[&'a CodeCard] {
        &self.sorted[..self.used]
    }

    /// Codes without any use, in order of their numbers.
    pub(super) fn dead(&self) -> &[&'a CodeCard] {
        &self.sorted[self.used..]
    }

    /// What part of all uses this many are, in 0..=1.
    pub(super) fn share(&self, uses: u128) -> f64 {
        uses as f64 / (self.total.max(1)) as f64
    }

    /// Exponential of the entropy of the shares: the number of codes whose even use would be as
    /// varied.
    pub(super) fn perplexity(&self) -> f64 {
        let terms = self.used().iter().map(|card| {
            let share = self.share(card.uses.into());
            -share * share.ln()
        });
        terms.sum::<f64>().exp()
    }

    /// The smallest number of codes that have at least half of all uses.
    fn half(&self) -> usize {
        let mut sum = 0;
        let reached = self.used().iter().position(|card| {
            sum += u128::from(card.uses);
            sum * 2 >= self.total
        });
        reached.map_or(0, |at| at + 1)
    }
}

/// Figures above the chart.
pub(super) fn facts(out: &mut String, usage: &Usage) {
    let codes = usage.len();
    out.push_str("<dl class=\"summary facts\">");
    let mut fact = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    };
    fact("Uses counted", grouped(usage.total));
    let dead = match usage.dead().len() {
        0 => String::new(),
        dead => format!(
            " · <span class=\"dead\">{} dead</span>",
            grouped(dead as u128)
        ),
    };
    fact(
        "Codes in use",
        format!(
            "{} of {}{dead}",
            grouped(usage.used().len() as u128),
            grouped(codes as u128)
        ),
    );
    if usage.total > 0 {
        let perplexity = usage.perplexity();
        fact(
            "Perplexity",
            format!(
                "{perplexity:.1} ({} of {})",
                percent(perplexity / codes as f64),
                grouped(codes as u128)
            ),
        );
        fact("Half of all uses on", plural(usage.half()));
    }
    out.push_str("</dl>");
}

fn plural(codes: usize) -> String {
    let noun = if codes == 1 { "code" } else { "codes" };
    format!("{} {noun}", grouped(codes as u128))
}

/// The numbers of the codes without any use.
pub(super) fn dead(out: &mut String, usage: &Usage) {
    let codes: Vec<_> = usage.dead().iter().map(|card| card.code).collect();
    if !codes.is_empty() {
        let _ = write!(
            out,
            "<details><summary>Dead codes</summary><p class=\"dead-codes\">{}</p></details>",
            ranges(&codes)
        );
    }
}

/// Ascending numbers, runs of three and more as ranges.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let texts: Vec<_> = runs
        .map(|run| match run {
            [first, _, .., last] => format!("{first}–{last}"),
            _ => run
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        })
        .collect();
    texts.join(", ")
}

/// A whole number with its thousands apart: 12,345.
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

/// A share as a percentage of two or three digits that count.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value {
        v if v >= 9.95 => format!("{v:.0}%"),
        v if v >= 0.995 => format!("{v:.1}%"),
        v if v >= 0.0995 => format!("{v:.2}%"),
        v if v >= 0.001 => format!("{v:.3}%"),
        v if v > 0.0 => "&lt;0.001%".to_owned(),
        _ => "0%".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cards(uses: &[u64]) -> Vec<CodeCard> {
        let card = |(code, uses): (usize, &u64)| CodeCard {
            code,
            uses: *uses,
            ..CodeCard::default()
        };
        uses.iter().enumerate().map(card).collect()
    }

    #[test]
    fn known_distributions() {
        let even = cards(&[7; 16]);
        let usage = Usage::of(&even);
        assert!((usage.perplexity() - 16.0).abs() < 1e-9);
        assert_eq!((usage.half(), usage.dead().len()), (8, 0));
        let one = cards(&[0, 9, 0]);
        let usage = Usage::of(&one);
        assert!((usage.perplexity() - 1.0).abs() < 1e-9);
        assert_eq!((usage.half(), usage.dead().len()), (1, 2));
        // Entropy of (1/2, 1/4, 1/4) is 1.5 bits.
        let mixed = cards(&[2, 4, 2]);
        assert!((Usage::of(&mixed).perplexity() - 2_f64.powf(1.5)).abs() < 1e-9);
        let none = cards(&[0, 0]);
        assert_eq!(Usage::of(&none).half(), 0);
        let most = cards(&[u64::MAX; 3]);
        assert!((Usage::of(&most).perplexity() - 3.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn perplexity_is_between_one_and_the_codes_in_use(uses in prop::collection::vec(0_u64..1000, 1..200)) {
            let codes = cards(&uses);
            let usage = Usage::of(&codes);
            prop_assume!(usage.total > 0);
            let perplexity = usage.perplexity();
            prop_assert!(perplexity >= 1.0 - 1e-9 && perplexity <= usage.used().len() as f64 + 1e-9);
            prop_assert!(usage.half() <= usage.used().len());
            prop_assert_eq!(usage.used().len() + usage.dead().len(), uses.len());
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(ranges(&[1, 2, 4, 7, 8, 9, 12]), "1, 2, 4, 7–9, 12");
        assert_eq!(
            (grouped(7), grouped(1234), grouped(1_234_567)),
            ("7".into(), "1,234".into(), "1,234,567".into())
        );
        let texts = [0.5, 0.0312, 0.00312, 0.000_049, 1e-9, 0.0].map(percent);
        assert_eq!(
            texts,
            ["50%", "3.1%", "0.31%", "0.005%", "&lt;0.001%", "0%"]
        );
    }
}
