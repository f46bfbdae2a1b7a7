//! What is done, what runs, and how long the rest will take.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::job::{Job, Kind, State};
use crate::processes::run_files::logged_lines;

/// Time between two renewals of the line about what runs.
const RENEWAL: Duration = Duration::from_secs(1);

/// Steps and the seconds that they took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pace {
    steps: f64,
    seconds: f64,
}

/// A job that runs.
struct Running {
    label: String,
    run: PathBuf,
    steps: u64,
    started: Instant,
}

/// The state of all jobs.
pub(super) struct Progress {
    total: usize,
    finished: usize,
    /// Of finished jobs of each kind.
    paces: BTreeMap<Kind, Pace>,
    /// Steps that are left of each kind.
    left: BTreeMap<Kind, f64>,
    running: Vec<Running>,
    /// Jobs at a time.
    workers: usize,
    renewed: Option<Instant>,
}

impl Progress {
    pub(super) fn new<'a>(jobs: impl Iterator<Item = (&'a Job, State)>, workers: usize) -> Self {
        let mut progress = Self {
            total: 0,
            finished: 0,
            paces: BTreeMap::new(),
            left: BTreeMap::new(),
            running: vec![],
            workers,
            renewed: None,
        };
        for (job, state) in jobs {
            progress.total += 1;
            match state {
                State::Finished(seconds) => {
                    progress.finished += 1;
                    progress.add_pace(job, seconds);
                }
                _ => *progress.left.entry(job.kind.clone()).or_default() += job.steps as f64,
            }
        }
        progress
    }

    fn add_pace(&mut self, job: &Job, seconds: f64) {
        // How long an evaluation took is nowhere written.
        if seconds > 0.0 {
            let pace = self.paces.entry(job.kind.clone()).or_default();
            pace.steps += job.steps as f64;
            pace.seconds += seconds;
        }
    }

    /// Seconds that the rest will take; `None` before anything is finished.
    fn seconds_left(&self) -> Option<f64> {
        let all = self.paces.values().fold(Pace::default(), |all, pace| Pace {
            steps: all.steps + pace.steps,
            seconds: all.seconds + pace.seconds,
        });
        if all.steps == 0.0 {
            return None;
        }
        let seconds = self.left.iter().map(|(kind, steps)| {
            let pace = self.paces.get(kind).unwrap_or(&all);
            steps * pace.seconds / pace.steps
        });
        let seconds: f64 = seconds.sum();
        let elapsed = self.running.iter().map(|job| job.started.elapsed());
        let elapsed: f64 = elapsed.map(|time| time.as_secs_f64()).sum();
        Some((seconds - elapsed).max(0.0) / self.workers as f64)
    }

    pub(super) fn start(&mut self, job: &Job, run: PathBuf) {
        self.running.push(Running {
            label: job.label.clone(),
            run,
            steps: job.steps,
            started: Instant::now(),
        });
    }

    /// Prints a line about a job that has ended, after `seconds`.
    pub(super) fn finish(&mut self, job: &Job, seconds: f64) {
        self.running.retain(|running| running.label != job.label);
        self.finished += 1;
        if let Some(left) = self.left.get_mut(&job.kind) {
            *left -= job.steps as f64;
        }
        self.add_pace(job, seconds);
        self.clear();
        println!("{}", self.line(&job.label, seconds));
    }

    fn line(&self, label: &str, seconds: f64) -> String {
        let (finished, total) = (self.finished, self.total);
        let left = self.left_text();
        format!("[{finished}/{total}] {label}, {}{left}", duration(seconds))
    }

    fn left_text(&self) -> String {
        let left = self.seconds_left().filter(|_| self.finished < self.total);
        left.map_or(String::new(), |seconds| {
            format!("; {} left", duration(seconds))
        })
    }

    /// Renews the line about what runs, on a terminal.
    pub(super) fn show(&mut self) {
        let is_due = self.renewed.is_none_or(|at| at.elapsed() >= RENEWAL);
        if !is_due || !std::io::stdout().is_terminal() {
            return;
        }
        self.renewed = Some(Instant::now());
        let running = self.running.iter().map(|job| match job.steps {
            1 => job.label.clone(),
            steps => format!(
                "{} {}/{steps}",
                job.label,
                logged_lines(&job.run).min(steps as usize)
            ),
        });
        let running: Vec<String> = running.collect();
        let (finished, total) = (self.finished, self.total);
        print!(
            "\r\x1b[K[{finished}/{total}] {}{}",
            running.join(", "),
            self.left_text()
        );
        let _ = std::io::stdout().flush();
    }

    /// Removes the line about what runs.
    pub(super) fn clear(&self) {
        if std::io::stdout().is_terminal() {
            print!("\r\x1b[K");
        }
    }
}

/// `31 s`, `12 min`, `2 h 05 min`.
pub(super) fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        _ if seconds < 99.5 => format!("{seconds:.0} s"),
        0..60 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(kind: Kind, label: &str, steps: u64) -> Job {
        Job {
            kind,
            label: label.into(),
            path: label.into(),
            arguments: vec![],
            steps,
            curves: vec![],
        }
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_finished() {
        let task = || Kind::Task("vqa".into());
        let jobs = [
            (job(Kind::Pretrain, "a", 100), State::Finished(50.0)),
            (job(Kind::Pretrain, "b", 200), State::Begun),
            (job(task(), "c", 10), State::New),
            (job(task(), "d", 10), State::New),
        ];
        let mut progress = Progress::new(jobs.iter().map(|(job, state)| (job, *state)), 1);
        // Tasks go at the pace of all, half a second a step.
        assert_eq!(progress.seconds_left(), Some(110.0));
        progress.finish(&jobs[2].0, 40.0);
        assert_eq!(progress.seconds_left(), Some(140.0));
        assert_eq!(progress.line("c", 40.0), "[2/4] c, 40 s; 2 min left");
        progress.workers = 2;
        assert_eq!(progress.seconds_left(), Some(70.0));
        let fresh = Progress::new([(&jobs[1].0, State::New)].into_iter(), 1);
        assert_eq!(fresh.seconds_left(), None);
    }

    #[test]
    fn durations_are_short() {
        let texts = [31.4, 99.6, 3599.0, 7500.0].map(duration);
        assert_eq!(texts, ["31 s", "2 min", "1 h 00 min", "2 h 05 min"]);
    }
}
