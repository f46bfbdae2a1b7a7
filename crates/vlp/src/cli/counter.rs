//! Progress through samples: a bar on a terminal, occasional lines elsewhere.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use vlp::format::format_duration;

use super::output::warn;

/// Time between lines if standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shows how many samples are done, samples per second and the remaining time.
pub(super) struct Counter {
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Cell<Instant>,
}

impl Counter {
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = "{bar:24} {pos}/{len} {per_sec} [{elapsed} < {eta}]";
            let style = ProgressStyle::with_template(template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0).with_style(style)
        });
        let now = Instant::now();
        Self {
            bar,
            started: now,
            last_line: Cell::new(now),
        }
    }

    /// Reports that `done` of `total` samples are done.
    pub(super) fn show(&self, done: usize, total: usize) {
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else if done == total || self.last_line.get().elapsed() > LINE_INTERVAL {
            let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
            let rate = done as f64 / seconds;
            let left = format_duration((total - done) as f64 / rate.max(1e-9));
            warn(format_args!(
                "{done}/{total} samples  {rate:.1} samples/s  {left} left"
            ));
            self.last_line.set(Instant::now());
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
