//! Validation metrics of a run, before and after training.

use std::fmt;

use serde::{Deserialize, Serialize};
use vlp_objectives::Score;

use crate::format::{format_duration, format_metric};

/// Contents of `results.json`; its `Display` is the table printed at the end of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// Metrics of the initial weights.
    pub initial: Vec<Score>,
    /// Metrics after `step` steps.
    pub trained: Vec<Score>,
    /// Optimizer steps done.
    pub step: u64,
    /// Wall time in seconds of all sessions of the run, evaluation included.
    pub seconds: f64,
    /// Name of the device of the last session.
    pub device: String,
    /// SIMD level of the last session's CPU code, such as `avx2`.
    pub simd: String,
    /// Number of validation examples.
    pub examples: usize,
    /// Number of skipped steps, which changed nothing.
    pub skipped_steps: u64,
}

impl Results {
    /// A message about skipped steps; `None` without any.
    pub fn skipped_note(&self) -> Option<String> {
        match (self.skipped_steps, self.step) {
            (0, _) => None,
            (skipped, step) if skipped >= step => Some(format!(
                "nothing was trained: all {step} steps were skipped; the weights are the initial ones"
            )),
            (skipped, step) => Some(format!("{skipped} of {step} steps were skipped")),
        }
    }

    /// (name, initial value, trained value) of every metric.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Option<f64>, Option<f64>)> {
        self.initial.iter().map(|initial| {
            let mut trained = self.trained.iter();
            let trained = trained.find(|score| score.name == initial.name);
            let trained = trained.and_then(|score| score.value);
            (initial.name.as_str(), initial.value, trained)
        })
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (examples, step) = (self.examples, self.step);
        let duration = format_duration(self.seconds);
        writeln!(
            f,
            "\n{examples} validation examples, {step} steps, {duration}\n"
        )?;
        writeln!(f, "{:34} {:>9} {:>9}", "", "initial", "trained")?;
        for (name, initial, trained) in self.rows() {
            let (initial, trained) = (format_metric(initial), format_metric(trained));
            writeln!(f, "{name:34} {initial:>9} {trained:>9}")?;
        }
        match self.skipped_note() {
            Some(note) => writeln!(f, "\n{note}"),
            None => Ok(()),
        }
    }
}
