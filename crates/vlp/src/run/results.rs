//! Validation metrics of a run, before and after training.

use std::fmt;

use serde::{Deserialize, Serialize};
use vlp_objectives::Score;

use crate::format::{format_duration, format_metric, name_width};

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
    /// Number of skipped steps, which changed no weights.
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

    /// Replaces the metrics' values by those in `text`, the JSON that these results were read from: `serde_json` may be
    /// off by the last digit, and a resumed run must write the digits that it read.
    pub(super) fn restore_last_digits(&mut self, text: &str) {
        let values = text.split("\"value\":").skip(1).map(|rest| {
            let end = rest.find([',', '}', '\n']).unwrap_or(rest.len());
            rest[..end].trim().parse::<f64>().ok()
        });
        let values: Vec<Option<f64>> = values.collect();
        if values.len() == self.initial.len() + self.trained.len() {
            let scores = self.initial.iter_mut().chain(&mut self.trained);
            for (score, value) in scores.zip(values) {
                score.value = value;
            }
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
        let width = name_width(self.rows().map(|(name, ..)| name));
        writeln!(f, "{:width$} {:>9} {:>9}", "", "initial", "trained")?;
        for (name, initial, trained) in self.rows() {
            let (initial, trained) = (format_metric(initial), format_metric(trained));
            writeln!(f, "{name:width$} {initial:>9} {trained:>9}")?;
        }
        match self.skipped_note() {
            Some(note) => writeln!(f, "\n{note}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_read_to_the_bit() {
        // Each is read otherwise by `serde_json` alone.
        let values = [
            4.1365323734449646e-17,
            0.7071067811865475,
            1.8884748451544886e-17,
        ];
        let score = |value| Score::higher("a/\"value\": 7", value);
        let mut results = Results {
            initial: values.map(|value| score(Some(value))).to_vec(),
            trained: vec![score(None), score(Some(0.5))],
            ..Results::default()
        };
        let expected = results.clone();
        for text in [
            serde_json::to_string(&results).unwrap(),
            serde_json::to_string_pretty(&results).unwrap(),
        ] {
            results = serde_json::from_str(&text).unwrap();
            results.restore_last_digits(&text);
            assert_eq!(results, expected);
        }
    }
}
