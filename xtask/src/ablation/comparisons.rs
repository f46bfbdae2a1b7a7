//! Differences between variants, with their tests.

use super::plan::{Plan, Task, Variant, View};
use super::scores::{BySeed, Scores};
use super::statistics::{half_width, holm, sign_flip_test, t_test};
use crate::mean::mean;

/// A variant and one that it is compared with, in one task or in the mean of the primary ones.
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
    /// Corrected over all comparisons that the same table will have.
    pub(super) holm: f64,
    /// Of the exact permutation test, not corrected; `None` for too many seeds.
    pub(super) flips: Option<f64>,
}

/// The comparisons of a plan for which there are two seeds so far.
pub(super) struct Comparisons {
    /// In the mean score of the primary tasks: these decide.
    pub(super) primary: Vec<Comparison>,
    /// In each task.
    pub(super) by_task: Vec<Comparison>,
}

/// All comparisons, with p-values that are corrected within each table.
pub(super) fn comparisons(plan: &Plan, scores: &Scores) -> Comparisons {
    let primary = plan.primary_tasks();
    let names: Vec<&str> = primary.iter().map(|task| task.name.as_str()).collect();
    let name = match names.as_slice() {
        [name] => (*name).to_owned(),
        names => format!("mean of {}", names.join(", ")),
    };
    let primary = table(plan, scores, &[(name, primary)]);
    let tasks = plan.tasks.iter();
    let tasks: Vec<_> = tasks.map(|task| (task.name.clone(), vec![task])).collect();
    Comparisons {
        primary,
        by_task: table(plan, scores, &tasks),
    }
}

/// The comparisons of all variants in each of `scored`, a name and the tasks whose mean it stands for.
fn table(plan: &Plan, scores: &Scores, scored: &[(String, Vec<&Task>)]) -> Vec<Comparison> {
    let (mut comparisons, mut planned) = (vec![], 0);
    for variant in &plan.variants {
        let others = variant.against.iter();
        let others = others.filter_map(|name| plan.variants.iter().find(|v| v.name == *name));
        for against in others {
            for (name, tasks) in scored {
                let pair = Pair {
                    scores,
                    variant,
                    against,
                    tasks,
                };
                planned += 1 + 2 * plan.views.len();
                let usual = pair.differences(None);
                comparisons.extend(pair.compare(name, &usual));
                for view in &plan.views {
                    let differences = pair.differences(Some(view));
                    let name = format!("{name}, {}", view.name);
                    comparisons.extend(pair.compare(&name, &differences));
                    // Whether the difference is another one there.
                    let name = format!("{name} minus usual");
                    comparisons.extend(pair.compare(&name, &subtract(&differences, &usual)));
                }
            }
        }
    }
    let p_values: Vec<f64> = comparisons.iter().map(|comparison| comparison.p).collect();
    for (comparison, corrected) in comparisons.iter_mut().zip(holm(&p_values, planned)) {
        comparison.holm = corrected;
    }
    comparisons
}

struct Pair<'a> {
    scores: &'a Scores<'a>,
    variant: &'a Variant,
    against: &'a Variant,
    /// Their mean score is compared.
    tasks: &'a [&'a Task],
}

impl Pair<'_> {
    fn differences(&self, view: Option<&View>) -> BySeed {
        let of = |variant| {
            let scores = self.tasks.iter();
            mean_by_seed(scores.map(|task| self.scores.of(variant, task, view)))
        };
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

/// The mean of each seed that all have.
fn mean_by_seed(scores: impl Iterator<Item = BySeed>) -> BySeed {
    let scores: Vec<BySeed> = scores.collect();
    let seeds = scores.first().into_iter().flat_map(BySeed::keys);
    seeds
        .filter_map(|seed| {
            let values: Option<Vec<f64>> = scores.iter().map(|by| by.get(seed).copied()).collect();
            Some((*seed, mean(&values?)))
        })
        .collect()
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
        let means = mean_by_seed([a, b].into_iter());
        assert_eq!(means, BySeed::from([(1, 0.375), (4, 1.0)]));
    }
}
