//! A progress bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Shows step, losses, samples a second and the time left.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    first: u64,
    total: u64,
    printed: Instant,
}

impl Progress {
    /// Progress from step `first` to `total`.
    pub fn new(first: u64, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total).with_position(first);
            // The template is a constant of this file; should it ever be wrong, the default bar serves.
            let style =
                ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} [{elapsed} < {eta}]");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        Self {
            bar,
            started: now,
            first,
            total,
            printed: now,
        }
    }

    /// Reports a finished step: named losses and the samples of one step.
    pub fn step(&mut self, step: u64, losses: &[(String, f32)], samples: usize) {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let rate = (step - self.first) as f64 / seconds;
        let shown: Vec<String> = losses
            .iter()
            // A loss of nothing is no "-0.000".
            .map(|(name, value)| format!("{name} {:.3}", value + 0.0))
            .collect();
        let message = format!(
            "{}  {:.1} samples/s",
            shown.join("  "),
            rate * samples as f64
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(step);
                bar.set_message(message);
            }
            None if self.printed.elapsed() > Duration::from_secs(10) || step == self.total => {
                let left = (self.total - step) as f64 / rate.max(1e-9);
                let (total, left) = (self.total, clock(left));
                plain(&format!("step {step}/{total}  {message}  {left} left"));
                self.printed = Instant::now();
            }
            None => {}
        }
    }

    /// Prints a line without disturbing the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => plain(text),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line to standard error; a run goes on where nobody reads it any more.
fn plain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `75` as `1m15s`.
pub fn clock(seconds: f64) -> String {
    let all = seconds.round().max(0.0) as u64;
    match (all / 3600, all / 60 % 60, all % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}
