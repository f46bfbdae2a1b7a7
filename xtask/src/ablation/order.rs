//! Whether variants come in the paper's order.

use std::fmt::Write as _;

use super::plan::Plan;
use super::scores::{BySeed, Scores};
use crate::mean::mean;

/// Whether the means over the seeds that all variants have are in the paper's order, for each task.
pub(super) fn text(plan: &Plan, scores: &Scores) -> String {
    let variants: Vec<_> = plan
        .order
        .iter()
        .filter_map(|name| plan.variants.iter().find(|variant| variant.name == *name))
        .collect();
    if variants.len() < 2 {
        return String::new();
    }
    let expected: Vec<&str> = variants
        .iter()
        .map(|variant| variant.name.as_str())
        .collect();
    let mut text = format!(
        "\nThe paper's order, the best first: {}.\n",
        expected.join(", ")
    );
    for task in &plan.tasks {
        let scores = variants
            .iter()
            .map(|variant| (variant.name.as_str(), scores.of(variant, task, None)));
        _ = writeln!(
            text,
            "- {}: {}",
            task.name,
            order_of(&scores.collect::<Vec<_>>())
        );
    }
    text
}

/// The order of the means over common seeds, of variants in the expected order.
fn order_of(scores: &[(&str, BySeed)]) -> String {
    let (there, missing): (Vec<_>, Vec<_>) = scores.iter().partition(|(_, by)| !by.is_empty());
    fn names<'a>(scores: &[&(&'a str, BySeed)]) -> Vec<&'a str> {
        scores.iter().map(|(name, _)| *name).collect()
    }
    let missing = match names(&missing) {
        missing if missing.is_empty() => String::new(),
        missing => format!("; not finished: {}", missing.join(", ")),
    };
    let seeds = there.first().into_iter().flat_map(|(_, by)| by.keys());
    let is_common = |seed: &&u64| there.iter().all(|(_, by)| by.contains_key(seed));
    let common: Vec<&u64> = seeds.filter(is_common).collect();
    if there.len() < 2 || common.is_empty() {
        return format!("no seed of two variants to compare{missing}");
    }
    let of_common = |by: &BySeed| common.iter().map(|seed| by[seed]).collect::<Vec<f64>>();
    let mut means: Vec<_> = there
        .iter()
        .map(|(name, by)| (mean(&of_common(by)), *name))
        .collect();
    means.sort_by(|a, b| b.0.total_cmp(&a.0));
    let order: Vec<&str> = means.iter().map(|(_, name)| *name).collect();
    let same = match order == names(&there) {
        true => "the paper's",
        false => "another one",
    };
    let seeds = match common.len() {
        1 => "1 seed".to_owned(),
        count => format!("{count} seeds"),
    };
    format!("{} ({same}, over {seeds}{missing})", order.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_compared_over_common_seeds_and_what_is_missing_is_named() {
        let by = |values: &[(u64, f64)]| values.iter().copied().collect::<BySeed>();
        let two = [(1, 0.9), (2, 0.5)];
        // Over all of its seeds, the first one would be the lower.
        let scores = [("full", by(&two)), ("plain", by(&[(1, 0.8)]))];
        assert_eq!(order_of(&scores), "full, plain (the paper's, over 1 seed)");
        let scores = [
            ("full", by(&two)),
            ("neither", by(&[])),
            ("plain", by(&[(1, 0.8), (2, 0.7), (3, 0.1)])),
        ];
        assert_eq!(
            order_of(&scores),
            "plain, full (another one, over 2 seeds; not finished: neither)"
        );
        for other in [by(&[]), by(&[(3, 0.5)])] {
            let text = order_of(&[("full", by(&two)), ("plain", other)]);
            assert!(text.starts_with("no seed of two variants"), "{text}");
        }
    }
}
