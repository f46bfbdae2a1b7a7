//! Which variants an ablation compares, read from a file of `plans`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::names;

/// Name and text of every plan.
pub(super) const PLANS: [(&str, &str); 3] = [
    ("e2e-vlp", include_str!("plans/e2e-vlp.toml")),
    ("soho", include_str!("plans/soho.toml")),
    ("generalization", include_str!("plans/generalization.toml")),
];

/// An ablation: variants that differ in what they set, at an equal budget, and the tasks that they are fine-tuned for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// Heading of the page.
    pub(super) title: String,
    /// What the paper says, and what is done here.
    pub(super) claim: String,
    /// Variants in the paper's order, the best one first.
    pub(super) order: Vec<String>,
    /// Preset of every variant.
    pub(super) preset: String,
    /// Steps of pre-training.
    pub(super) steps: u64,
    /// Evaluations during pre-training, the last one at its end.
    pub(super) evaluations: u64,
    /// Fraction of the steps of pre-training during which the learning rate rises.
    warmup: f64,
    /// `--set` of every pre-training run.
    set: Vec<String>,
    /// Validation metrics of pre-training that are drawn.
    pub(super) curves: Vec<String>,
    /// Tasks whose mean score decides, those of the paper's table; the others are shown as well.
    primary: Vec<String>,
    /// Steps of fine-tuning.
    pub(super) task_steps: u64,
    /// Evaluations during fine-tuning.
    task_evaluations: u64,
    /// Fraction of the steps of fine-tuning during which the learning rate rises.
    task_warmup: f64,
    /// `--set` of every fine-tuning run.
    task_set: Vec<String>,
    #[serde(rename = "task")]
    pub(super) tasks: Vec<Task>,
    #[serde(rename = "view", default)]
    pub(super) views: Vec<View>,
    #[serde(rename = "start", default)]
    pub(super) starts: Vec<Start>,
    #[serde(rename = "variant")]
    pub(super) variants: Vec<Variant>,
    /// Lists of settings, and values of settings, by the name that stands for them.
    #[serde(default)]
    values: BTreeMap<String, Vec<String>>,
}

/// A task of `vlp finetune`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    pub(super) name: String,
    /// Metrics whose mean is the score.
    pub(super) metrics: Vec<String>,
    #[serde(default)]
    set: Vec<String>,
    evaluations: Option<u64>,
}

/// A second evaluation of every fine-tuned model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) about: String,
    /// `--set` of `vlp evaluate`.
    set: Vec<String>,
}

/// A run whose weights variants start from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    pub(super) name: String,
    /// Its steps as a fraction of those of the variants.
    share: f64,
    set: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) about: String,
    /// Variants that it is compared with.
    #[serde(default)]
    pub(super) against: Vec<String>,
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    task_set: Vec<String>,
    /// The [`Start`] that it starts from.
    pub(super) from: Option<String>,
    /// Not pre-trained: fine-tuned from random weights with the configuration of this variant.
    pub(super) scratch: Option<String>,
    /// Fine-tuned from the pre-training of this variant, in another way.
    pub(super) tuned_from: Option<String>,
    /// Multiple of the steps of pre-training.
    #[serde(default = "once")]
    times: u64,
}

fn once() -> u64 {
    1
}

impl Variant {
    /// The variant whose pre-training it uses; `None` if that is its own.
    pub(super) fn pretrained(&self) -> Option<&str> {
        self.scratch.as_deref().or(self.tuned_from.as_deref())
    }
}

impl Plan {
    /// The plan called `name`.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        names::check("ablation", &[name], &PLANS.map(|(plan, _)| plan))?;
        let text = PLANS.iter().find(|(plan, _)| *plan == name);
        let text = text.map_or("", |(_, text)| text);
        Self::read(text).map_err(|reason| format!("{name}.toml: {reason}"))
    }

    fn read(text: &str) -> Result<Self, String> {
        let plan: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        plan.check()?;
        Ok(plan)
    }

    /// Keeps the variants and tasks of these names, all if none is given, and the variants that they need.
    pub(super) fn choose(&mut self, variants: &[String], tasks: &[String]) -> Result<(), String> {
        let all: Vec<&str> = self.variants.iter().map(|v| v.name.as_str()).collect();
        names::check("variant", variants, &all)?;
        let all: Vec<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
        names::check("task", tasks, &all)?;
        let mut chosen: BTreeSet<String> = variants.iter().cloned().collect();
        let needed = self.variants.iter().filter(|v| chosen.contains(&v.name));
        let needed: Vec<String> = needed
            .filter_map(Variant::pretrained)
            .map(str::to_owned)
            .collect();
        chosen.extend(needed);
        if !variants.is_empty() {
            self.variants
                .retain(|variant| chosen.contains(&variant.name));
        }
        if !tasks.is_empty() {
            self.tasks.retain(|task| tasks.contains(&task.name));
        }
        Ok(())
    }

    /// The primary tasks, or all if none of them was chosen.
    pub(super) fn primary_tasks(&self) -> Vec<&Task> {
        let is_primary = |task: &&Task| self.primary.contains(&task.name);
        match self.tasks.iter().filter(is_primary).collect::<Vec<_>>() {
            tasks if tasks.is_empty() => self.tasks.iter().collect(),
            tasks => tasks,
        }
    }

    /// Steps of pre-training of a variant.
    pub(super) fn steps_of(&self, variant: &Variant) -> u64 {
        self.steps * variant.times
    }

    /// Steps of a run that variants start from.
    pub(super) fn steps_of_start(&self, start: &Start) -> u64 {
        (self.steps as f64 * start.share).round().max(1.0) as u64
    }

    /// Settings of the pre-training of a variant, besides steps and seed.
    pub(super) fn variant_settings(&self, variant: &Variant) -> Vec<String> {
        let steps = self.steps_of(variant);
        let mut settings = vec![every(steps, self.evaluations), warmup(steps, self.warmup)];
        settings.extend(self.resolve(&self.set));
        settings.extend(self.resolve(&variant.set));
        settings
    }

    /// Settings of a run that variants start from.
    pub(super) fn start_settings(&self, start: &Start) -> Vec<String> {
        let warmup = vec![warmup(self.steps_of_start(start), self.warmup)];
        [warmup, self.resolve(&self.set), self.resolve(&start.set)].concat()
    }

    /// Settings of the fine-tuning of a variant for a task.
    pub(super) fn task_settings(&self, variant: &Variant, task: &Task) -> Vec<String> {
        let evaluations = task.evaluations.unwrap_or(self.task_evaluations);
        let steps = self.task_steps;
        let mut settings = vec![every(steps, evaluations), warmup(steps, self.task_warmup)];
        for set in [&self.task_set, &task.set, &variant.task_set] {
            settings.extend(self.resolve(set));
        }
        settings
    }

    /// Settings of a second evaluation.
    pub(super) fn view_settings(&self, view: &View) -> Vec<String> {
        self.resolve(&view.set)
    }

    /// Puts values in the place of their names: `NAME` becomes all its settings, `key=NAME` its one value.
    fn resolve(&self, set: &[String]) -> Vec<String> {
        let settings = set.iter().flat_map(|entry| match entry.split_once('=') {
            None => self.values.get(entry).cloned().unwrap_or_default(),
            Some((key, name)) => match self.values.get(name).map(Vec::as_slice) {
                Some([value]) => vec![format!("{key}={value}")],
                // No name: `check` has seen to it.
                _ => vec![entry.clone()],
            },
        });
        settings.collect()
    }

    fn check(&self) -> Result<(), String> {
        let variants: Vec<&str> = self.variants.iter().map(|v| v.name.as_str()).collect();
        let starts: Vec<&str> = self.starts.iter().map(|s| s.name.as_str()).collect();
        let mut folders = BTreeSet::new();
        for name in variants.iter().chain(&starts) {
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') || !folders.insert(name)
            {
                return Err(format!("{name:?} is no name of a folder, or is one of two"));
            }
        }
        names::check("variant", &self.order, &variants)?;
        let tasks: Vec<&str> = self.tasks.iter().map(|task| task.name.as_str()).collect();
        names::check("task", &self.primary, &tasks)?;
        for variant in &self.variants {
            names::check("variant", &variant.against, &variants)?;
            names::check("variant", variant.scratch.as_slice(), &variants)?;
            names::check("variant", variant.tuned_from.as_slice(), &variants)?;
            names::check("start", variant.from.as_slice(), &starts)?;
        }
        let sets = [&self.set, &self.task_set].into_iter();
        let sets = sets
            .chain(self.tasks.iter().map(|task| &task.set))
            .chain(self.views.iter().map(|view| &view.set))
            .chain(self.starts.iter().map(|start| &start.set))
            .chain(self.variants.iter().flat_map(|v| [&v.set, &v.task_set]));
        sets.flatten().try_for_each(|entry| self.check_entry(entry))
    }

    /// Fails for a setting with a name that stands for no value, or for several where one is needed.
    fn check_entry(&self, entry: &str) -> Result<(), String> {
        let values: Vec<&str> = self.values.keys().map(String::as_str).collect();
        match entry.split_once('=') {
            None => names::check("value", &[entry], &values),
            Some((_, name)) if is_name(name) => {
                names::check("value", &[name], &values)?;
                match self.values.get(name).map_or(0, Vec::len) {
                    1 => Ok(()),
                    count => Err(format!("{entry}: {name} has {count} values instead of one")),
                }
            }
            Some(_) => Ok(()),
        }
    }
}

/// Evaluates so many times, the last time at the end.
fn every(steps: u64, evaluations: u64) -> String {
    format!("eval.every={}", (steps / evaluations.max(1)).max(1))
}

fn warmup(steps: u64, fraction: f64) -> String {
    let steps = (steps as f64 * fraction).round();
    format!("train.schedule.warmup_steps={steps:.0}")
}

/// Whether a word is a name of [`Plan::values`], and no value itself.
fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_plan_is_read_and_consistent() {
        for (name, _) in PLANS {
            let plan = Plan::named(name).unwrap();
            for variant in &plan.variants {
                let mut settings = plan.variant_settings(variant);
                for task in &plan.tasks {
                    settings.extend(plan.task_settings(variant, task));
                }
                assert!(
                    settings.iter().all(|entry| entry.contains('=')),
                    "{settings:?}"
                );
            }
        }
        assert!(Plan::named("sohoo").unwrap_err().contains("e2e-vlp, soho"));
    }

    #[test]
    fn names_stand_for_values() {
        let plan = Plan::named("soho").unwrap();
        let variant = |name: &str| plan.variants.iter().find(|v| v.name == name).unwrap();
        let hard = plan.variant_settings(variant("hard-full"));
        assert!(
            hard.contains(&"data.scenes.max_objects=6".to_owned()),
            "{hard:?}"
        );
        let warm = plan.variant_settings(variant("warm-full"));
        assert!(
            warm.iter()
                .any(|entry| entry.contains("frozen_until = 0.25")),
            "{warm:?}"
        );
        assert_eq!(plan.steps_of(variant("long-full")), 3 * plan.steps);
    }

    #[test]
    fn a_name_without_a_value_is_refused_wherever_it_stands() {
        let plan = PLANS[1].1;
        for (old, new, reason) in [
            (
                "set = [\"data.batch_size=6\"]",
                "set = [\"SMAL\"]",
                "no value is named \"SMAL\"; there are DICTIONARY, HARD, STILL",
            ),
            (
                "\"model.encoder_layers=0\"",
                "\"HARDER\"",
                "no value is named \"HARDER\"; ",
            ),
            (
                "groups=STILL",
                "groups=STIL",
                "no value is named \"STIL\"; ",
            ),
            (
                "groups=STILL",
                "groups=HARD",
                "train.optimizer.groups=HARD: HARD has 9 values instead of one",
            ),
        ] {
            let error = Plan::read(&plan.replacen(old, new, 1)).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
        Plan::read(plan).unwrap();
    }

    #[test]
    fn chosen_variants_bring_what_they_need() {
        let mut plan = Plan::named("generalization").unwrap();
        plan.choose(&["scratch".into()], &["vqa".into()]).unwrap();
        let names: Vec<&str> = plan.variants.iter().map(|v| v.name.as_str()).collect();
        assert_eq!((names, plan.tasks.len()), (vec!["full", "scratch"], 1));
        let error = plan.choose(&["ful".into()], &[]).unwrap_err();
        assert_eq!(
            error,
            "no variant is named \"ful\"; there are full, scratch"
        );
    }
}
