//! Differences between variants, with their tests.

use super::plan::{Plan, Task, Variant, View};
use super::scores::{BySeed, Scores};
use super::statistics::{half_width, holm, mean, sign_flip_test, t_test};

/// A variant and one that it is compared with, in one task.
pub(super) struct Comparison {
    pub(super) variant: String,
    pub(super) against: String,
    /// The task and the scenes.
    pub(super) what: String,
    /// Number of seeds that both have.
    pub(super) count: usize,
    /// Mean of the differences.
    pub(super) difference: f64,
    /// Half the width of its 95 % confidence interval.
    pub(super) half_width: f64,
    /// Of the paired t-test.
    pub(super) p: f64,
    /// Corrected over all comparisons.
    pub(super) holm: f64,
    /// Of the exact permutation test, not corrected; `None` for too many seeds.
    pub(super) flips: Option<f64>,
}

/// All comparisons of a plan for which there are two seeds, with corrected p-values.
pub(super) fn comparisons(plan: &Plan, scores: &Scores) -> Vec<Comparison> {
    let mut comparisons = vec![];
    for variant in &plan.variants {
        let others = variant.against.iter();
        let others = others.filter_map(|name| plan.variants.iter().find(|v| v.name == *name));
        for against in others {
            for task in &plan.tasks {
                let pair = Pair {
                    scores,
                    variant,
                    against,
                    task,
                };
                comparisons.extend(pair.compare(&task.name, &pair.differences(None)));
                for view in &plan.views {
                    let (seen, unseen) = (pair.differences(None), pair.differences(Some(view)));
                    let name = format!("{}, {}", task.name, view.name);
                    comparisons.extend(pair.compare(&name, &unseen));
                    // Whether the difference is another one there.
                    let name = format!("{name} minus usual");
                    comparisons.extend(pair.compare(&name, &subtract(&unseen, &seen)));
                }
            }
        }
    }
    let p_values: Vec<f64> = comparisons.iter().map(|comparison| comparison.p).collect();
    for (comparison, corrected) in comparisons.iter_mut().zip(holm(&p_values)) {
        comparison.holm = corrected;
    }
    comparisons
}

struct Pair<'a> {
    scores: &'a Scores<'a>,
    variant: &'a Variant,
    against: &'a Variant,
    task: &'a Task,
}

impl Pair<'_> {
    fn differences(&self, view: Option<&View>) -> BySeed {
        let of = |variant| self.scores.of(variant, self.task, view);
        subtract(&of(self.variant), &of(self.against))
    }

    fn compare(&self, what: &str, differences: &BySeed) -> Option<Comparison> {
        let differences: Vec<f64> = differences.values().copied().collect();
        Some(Comparison {
            variant: self.variant.name.clone(),
            against: self.against.name.clone(),
            what: what.to_owned(),
            count: differences.len(),
            difference: mean(&differences),
            half_width: half_width(&differences)?,
            p: t_test(&differences)?,
            holm: 1.0,
            flips: sign_flip_test(&differences),
        })
    }
}

/// Differences for the seeds that both have.
fn subtract(a: &BySeed, b: &BySeed) -> BySeed {
    let pairs = a
        .iter()
        .filter_map(|(seed, a)| Some((*seed, a - b.get(seed)?)));
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_seeds_of_both_are_compared() {
        let a = BySeed::from([(1, 0.5), (2, 0.75), (4, 1.0)]);
        let b = BySeed::from([(1, 0.25), (3, 0.5), (4, 1.0)]);
        assert_eq!(subtract(&a, &b), BySeed::from([(1, 0.25), (4, 0.0)]));
    }
}
