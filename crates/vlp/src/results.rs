//! Held-out figures of a run, before and after training.

use std::fmt;

use serde::{Deserialize, Serialize};
use vlp_objectives::tally::Score;

use crate::progress::clock;

/// What `results.json` holds; it prints as the table that ends a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Before training.
    pub untrained: Vec<Score>,
    /// Whether the run started from another one's weights: then the first column is not of an untrained model.
    #[serde(default)]
    pub from: bool,
    /// After `step` steps.
    pub trained: Vec<Score>,
    /// Optimiser steps done.
    pub step: u64,
    /// Wall time of all sittings in seconds, evaluation included.
    pub seconds: f64,
    /// The device of the last sitting, by its name; empty in results of earlier versions.
    #[serde(default)]
    pub device: String,
    /// Held-out examples.
    pub examples: usize,
    /// Steps that changed nothing.
    pub skipped_steps: u64,
}

impl Results {
    /// What the figures before training are of.
    pub fn before(&self) -> &'static str {
        match self.from {
            true => "before",
            false => "untrained",
        }
    }

    /// (name, before, after) of every figure.
    pub fn rows(&self) -> impl Iterator<Item = (&str, Option<f64>, Option<f64>)> {
        self.untrained.iter().map(|(name, before)| {
            let after = self.trained.iter().find(|(other, _)| other == name);
            (name.as_str(), *before, after.and_then(|(_, value)| *value))
        })
    }
}

/// A figure with three places; `-` where it is not defined.
pub fn figure(value: Option<f64>) -> String {
    // Rounded first: a figure just below zero is no "-0.000".
    value.map_or("-".into(), |v| {
        format!("{:.3}", (v * 1000.0).round() / 1000.0 + 0.0)
    })
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (examples, step) = (self.examples, self.step);
        writeln!(
            f,
            "\n{examples} held-out examples, {step} steps, {}\n",
            clock(self.seconds)
        )?;
        writeln!(f, "{:34} {:>9} {:>9}", "", self.before(), "trained")?;
        for (name, before, after) in self.rows() {
            writeln!(f, "{name:34} {:>9} {:>9}", figure(before), figure(after))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_and_tiny_figures_are_readable() {
        let shown = [None, Some(-1e-9), Some(0.12345), Some(1.0)].map(figure);
        assert_eq!(shown, ["-", "0.000", "0.123", "1.000"]);
    }
}
