//! How evenly the codes of a dictionary are used.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::types::CodeCard;
use crate::number_format::{grouped, percent};

/// Codes sorted by use.
pub(super) struct Usage<'a> {
    /// Most used first; codes of equal use in order of their indices.
    sorted: Vec<&'a CodeCard>,
    used: usize,
    total: u128,
}

impl<'a> Usage<'a> {
    pub(super) fn of(codes: &'a [CodeCard]) -> Self {
        let mut sorted: Vec<_> = codes.iter().collect();
        sorted.sort_by_key(|card| (Reverse(card.uses), card.code));
        Self {
            used: sorted.partition_point(|card| card.uses > 0),
            total: sorted.iter().map(|card| u128::from(card.uses)).sum(),
            sorted,
        }
    }

    /// Number of codes, including dead ones.
    pub(super) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Codes with a use, most used first.
    pub(super) fn used(&self) -> &[&'a CodeCard] {
        &self.sorted[..self.used]
    }

    /// Codes without any use, in order of their indices.
    pub(super) fn dead(&self) -> &[&'a CodeCard] {
        &self.sorted[self.used..]
    }

    /// Fraction of all uses, in 0..=1.
    pub(super) fn fraction(&self, uses: u128) -> f64 {
        uses as f64 / (self.total.max(1)) as f64
    }

    /// Exponential of the entropy of the fractions: the number of equally used codes with the same entropy.
    pub(super) fn perplexity(&self) -> f64 {
        let terms = self.used().iter().map(|card| {
            let fraction = self.fraction(card.uses.into());
            -fraction * fraction.ln()
        });
        terms.sum::<f64>().exp()
    }

    /// The smallest number of codes that have at least half of all uses.
    fn half(&self) -> usize {
        let mut sum = 0;
        let last = self.used().iter().position(|card| {
            sum += u128::from(card.uses);
            sum * 2 >= self.total
        });
        last.map_or(0, |index| index + 1)
    }
}

/// The facts above the chart.
pub(super) fn summary(usage: &Usage) -> Markup {
    let codes = grouped(usage.len() as u128);
    let (perplexity, half) = (usage.perplexity(), usage.half());
    html! {
        dl.summary.facts {
            div { dt { "Uses counted" } dd { (grouped(usage.total)) } }
            div {
                dt { "Codes in use" }
                dd {
                    (grouped(usage.used().len() as u128)) " of " (codes)
                    @if !usage.dead().is_empty() {
                        " · " span.dead { (grouped(usage.dead().len() as u128)) " dead" }
                    }
                }
            }
            @if usage.total > 0 {
                div {
                    dt { "Perplexity" }
                    dd {
                        (format_args!("{perplexity:.1}")) " ("
                        (percent(perplexity / usage.len() as f64)) " of " (codes) ")"
                    }
                }
                div {
                    dt { "Half of all uses on" }
                    dd { (grouped(half as u128)) @if half == 1 { " code" } @else { " codes" } }
                }
            }
        }
    }
}

/// The indices of the codes without any use.
pub(super) fn dead_codes(usage: &Usage) -> Markup {
    let codes: Vec<_> = usage.dead().iter().map(|card| card.code).collect();
    html! {
        @if !codes.is_empty() {
            details {
                summary { "Dead codes" }
                p.dead-codes { (ranges(&codes)) }
            }
        }
    }
}

/// Ascending numbers, with runs of at least three as ranges.
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
    fn perplexity_of_uniform_single_and_mixed_use() {
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
        fn perplexity_is_between_one_and_number_of_used_codes(uses in prop::collection::vec(0_u64..1000, 1..200)) {
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
    fn runs_of_three_are_ranges() {
        assert_eq!(ranges(&[1, 2, 4, 7, 8, 9, 12]), "1, 2, 4, 7–9, 12");
    }
}
