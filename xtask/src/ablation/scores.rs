//! What finished runs have scored.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::job::{folder, view_file};
use super::plan::{Plan, Task, Variant, View};
use super::records::{Record, Records};
use super::sizes::Sizes;
use crate::mean::mean;

/// The values of a variant, by seed.
pub(super) type BySeed = BTreeMap<u64, f64>;

/// The results of a plan.
pub(super) struct Scores<'a> {
    pub(super) records: &'a Records,
    pub(super) plan: &'a Plan,
    pub(super) seeds: u64,
}

impl Scores<'_> {
    /// The score of a variant in a task, in the usual validation scenes or those of a view.
    pub(super) fn of(&self, variant: &Variant, task: &Task, view: Option<&View>) -> BySeed {
        self.by_seed(&task.metrics, |seed| match view {
            None => folder(&variant.name, seed, &task.name),
            Some(view) => view_file(&variant.name, seed, &task.name, &view.name),
        })
    }

    /// The final value of a metric of the pre-training of a variant.
    pub(super) fn of_pretraining(&self, variant: &Variant, metric: &str) -> BySeed {
        self.by_seed(&[metric.to_owned()], |seed| {
            folder(&variant.name, seed, "pretrain")
        })
    }

    /// The means of metrics of the recorded runs.
    fn by_seed(&self, metrics: &[String], run: impl Fn(u64) -> PathBuf) -> BySeed {
        let score = |seed| {
            let record = self.records.get(&run(seed))?;
            let values = metrics.iter().map(|metric| record.metrics.get(metric));
            let values: Option<Vec<f64>> = values.map(Option::<&f64>::copied).collect();
            Some((seed, mean(&values?)))
        };
        (1..=self.seeds).filter_map(score).collect()
    }

    /// The mean over seeds of the mean of metrics, at every step at which all seeds were evaluated.
    pub(super) fn curve(
        &self,
        variant: &Variant,
        run: &str,
        metrics: &[String],
    ) -> Vec<(f64, f64)> {
        let seeds = 1..=self.seeds;
        let records = seeds.filter_map(|seed| self.record(&variant.name, seed, run));
        let records: Vec<&Record> = records.collect();
        let mut by_step: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for metric in metrics {
            let curves = records.iter().filter_map(|r| r.curves.get(metric));
            for (step, value) in curves.flatten() {
                by_step.entry(*step).or_default().push(*value);
            }
        }
        by_step.retain(|_, values| values.len() == records.len() * metrics.len());
        let points = by_step.into_iter();
        points
            .map(|(step, values)| (step as f64, mean(&values)))
            .collect()
    }

    fn record(&self, name: &str, seed: u64, run: &str) -> Option<&Record> {
        self.records.get(&folder(name, seed, run))
    }

    /// The recorded runs of the plan's variants, tasks and seeds, for what they say besides scores.
    pub(super) fn runs(&self) -> Vec<&Record> {
        let plan = self.plan;
        let names = plan.variants.iter().map(|variant| &variant.name);
        let names = names.chain(plan.starts.iter().map(|start| &start.name));
        let tasks = plan.tasks.iter().map(|task| task.name.as_str());
        let runs: Vec<&str> = ["pretrain"].into_iter().chain(tasks).collect();
        let paths = names.flat_map(|name| (1..=self.seeds).map(move |seed| (name, seed)));
        let records = paths.flat_map(|(name, seed)| {
            let runs = runs.iter();
            runs.filter_map(move |run| self.record(name, seed, run))
        });
        records.collect()
    }

    /// The sizes of a run of the first variant that is pre-trained.
    pub(super) fn sizes(&self, run: &str) -> Option<&Sizes> {
        let mut variants = self.plan.variants.iter();
        let variant = variants.find(|v| v.pretrained().is_none())?;
        self.record(&variant.name, 1, run)?.sizes.as_ref()
    }
}
