//! What finished runs have scored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::job::{folder, read_json, view_file};
use super::plan::{Plan, Task, Variant, View};
use super::statistics::mean;

/// The values of a variant, by seed.
pub(super) type BySeed = BTreeMap<u64, f64>;

/// The runs of a plan.
pub(super) struct Scores<'a> {
    pub(super) out: &'a Path,
    pub(super) plan: &'a Plan,
    pub(super) seeds: u64,
}

impl Scores<'_> {
    /// The score of a variant in a task, in the usual validation scenes or those of a view.
    pub(super) fn of(&self, variant: &Variant, task: &Task, view: Option<&View>) -> BySeed {
        let score = |seed| match view {
            None => self.trained(&self.run(variant, seed, &task.name), &task.metrics),
            Some(view) => {
                let file = view_file(&variant.name, seed, &task.name, &view.name);
                let text = fs::read_to_string(self.out.join(file)).ok()?;
                mean_of(&task.metrics, |metric| printed(&text, metric))
            }
        };
        (1..=self.seeds)
            .filter_map(|seed| Some((seed, score(seed)?)))
            .collect()
    }

    /// The final value of a metric of the pre-training of a variant.
    pub(super) fn of_pretraining(&self, variant: &Variant, metric: &str) -> BySeed {
        let metrics = [metric.to_owned()];
        (1..=self.seeds)
            .filter_map(|seed| {
                let run = self.run(variant, seed, "pretrain");
                Some((seed, self.trained(&run, &metrics)?))
            })
            .collect()
    }

    fn run(&self, variant: &Variant, seed: u64, run: &str) -> PathBuf {
        self.out.join(folder(&variant.name, seed, run))
    }

    /// The mean of metrics of a finished run.
    fn trained(&self, run: &Path, metrics: &[String]) -> Option<f64> {
        if !is_finished(run) {
            return None;
        }
        let results = read_json(&run.join("results.json")).ok()?;
        let rows = results["trained"].as_array()?;
        mean_of(metrics, |metric| {
            let row = rows.iter().find(|row| row["name"] == metric)?;
            row["value"].as_f64()
        })
    }

    /// The mean over seeds of the mean of metrics, at every step at which all seeds were evaluated.
    pub(super) fn curve(
        &self,
        variant: &Variant,
        run: &str,
        metrics: &[String],
    ) -> Vec<(f64, f64)> {
        let mut by_step: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        let mut runs = 0;
        for seed in 1..=self.seeds {
            let path = self.run(variant, seed, run);
            let Ok(text) = fs::read_to_string(path.join("metrics.jsonl")) else {
                continue;
            };
            if !is_finished(&path) {
                continue;
            }
            runs += 1;
            for (step, value) in points(&text, metrics) {
                by_step.entry(step).or_default().push(value);
            }
        }
        by_step.retain(|_, values| values.len() == runs);
        let points = by_step.into_iter();
        points
            .map(|(step, values)| (step as f64, mean(&values)))
            .collect()
    }

    /// The results of every finished run, for what they say besides scores.
    pub(super) fn all_results(&self) -> Vec<Value> {
        let plan = self.plan;
        let names = plan.variants.iter().map(|variant| &variant.name);
        let names = names.chain(plan.starts.iter().map(|start| &start.name));
        let tasks: Vec<&str> = plan.tasks.iter().map(|task| task.name.as_str()).collect();
        let mut results = vec![];
        for name in names {
            for seed in 1..=self.seeds {
                for run in ["pretrain"].into_iter().chain(tasks.iter().copied()) {
                    let path = self.out.join(folder(name, seed, run));
                    if is_finished(&path) {
                        results.extend(read_json(&path.join("results.json")).ok());
                    }
                }
            }
        }
        results
    }

    /// The resolved configuration of a run of the first variant that is pre-trained.
    pub(super) fn configuration(&self, run: &str) -> Option<toml::Table> {
        let variant = self
            .plan
            .variants
            .iter()
            .find(|v| v.pretrained().is_none())?;
        let path = self.run(variant, 1, run).join("config.toml");
        fs::read_to_string(path).ok()?.parse().ok()
    }
}

/// The page of a run is written last.
fn is_finished(run: &Path) -> bool {
    run.join("report.html").is_file()
}

/// The mean of values; `None` if one is missing.
fn mean_of(metrics: &[String], value: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let values: Option<Vec<f64>> = metrics.iter().map(|metric| value(metric)).collect();
    values.map(|values| mean(&values))
}

/// The value of a metric that `vlp evaluate` has printed.
fn printed(text: &str, metric: &str) -> Option<f64> {
    let mut rows = text.lines().filter_map(|line| line.split_once(' '));
    rows.find(|(name, _)| *name == metric)?
        .1
        .trim()
        .parse()
        .ok()
}

/// Steps and means of the lines of a log that have all metrics.
fn points(text: &str, metrics: &[String]) -> Vec<(u64, f64)> {
    let records = text.lines().filter_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        let value = mean_of(metrics, |metric| record[metric].as_f64())?;
        Some((record["step"].as_u64()?, value))
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn printed_and_logged_metrics_are_read() {
        let text = "vqa/accuracy                           0.512\nvqa/accuracy_number                        -\n";
        assert_eq!(printed(text, "vqa/accuracy"), Some(0.512));
        assert_eq!(printed(text, "vqa/accuracy_number"), None);
        let log = "{\"step\":1,\"train/loss\":2.0}\n{\"a\":0.25,\"b\":0.75,\"step\":2}\n{\"a\":0.5,\"step\":3}\n{\"a\":0.";
        assert_eq!(points(log, &["a".into(), "b".into()]), [(2, 0.5)]);
        assert_eq!(points(log, &["a".into()]), [(2, 0.25), (3, 0.5)]);
    }
}
