//! Progress: a bar on a terminal, occasional lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::format::format_duration;

/// Time between lines if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows step, losses, samples per second and the remaining time.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    is_visible: bool,
    started: Instant,
    first_step: u64,
    total_steps: u64,
    last_line: Instant,
}

impl Progress {
    /// Shows nothing if it is not visible.
    pub(super) fn new(first_step: u64, total_steps: u64, is_visible: bool) -> Self {
        let bar = (is_visible && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total_steps).with_position(first_step);
            let style =
                ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} [{elapsed} < {eta}]");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        Self {
            bar,
            is_visible,
            started: now,
            first_step,
            total_steps,
            last_line: now,
        }
    }

    /// Reports a finished step, with named losses and its number of samples.
    pub(super) fn step(&mut self, step: u64, losses: &[(&str, f32)], samples: usize) {
        if !self.is_visible {
            return;
        }
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let steps_per_second = (step - self.first_step) as f64 / seconds;
        let losses = losses
            .iter()
            // Adding zero turns -0 into 0.
            .map(|(name, value)| format!("{name} {:.3}", value + 0.0));
        let losses = losses.collect::<Vec<_>>().join("  ");
        let samples_per_second = steps_per_second * samples as f64;
        let message = format!("{losses}  {samples_per_second:.1} samples/s");
        let total_steps = self.total_steps;
        match &self.bar {
            Some(bar) => {
                bar.set_position(step);
                bar.set_message(message);
            }
            None if self.last_line.elapsed() > LINE_INTERVAL || step == total_steps => {
                let remaining = (total_steps - step) as f64 / steps_per_second.max(1e-9);
                let remaining = format_duration(remaining);
                write_line(&format!(
                    "step {step}/{total_steps}  {message}  {remaining} left"
                ));
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    /// Prints a line above the bar.
    pub(super) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.is_visible => write_line(text),
            None => {}
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line to standard error. Failures are ignored: training continues if the reader has closed the pipe.
pub(super) fn write_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
