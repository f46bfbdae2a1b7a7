//! Ends a process that waits for one that has died or hangs.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Exit code of a process that ends because another one has died or hangs.
pub const PEER_GONE: i32 = 4;

/// A section that has not ended in time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expiry {
    /// The rank that noticed.
    pub rank: usize,
    /// Name of the section.
    pub section: &'static str,
    /// How long it may take.
    pub deadline: Duration,
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rank, section, seconds) = (self.rank, self.section, self.deadline.as_secs_f64());
        write!(
            f,
            "rank {rank}: section {section} has not ended after {seconds:.0} s: another process has died or hangs; resume the run"
        )
    }
}

impl Expiry {
    /// Prints the message to standard error and ends this process with exit code [`PEER_GONE`].
    pub fn exit(self) -> ! {
        eprintln!("{self}");
        std::process::exit(PEER_GONE)
    }
}

/// A thread that acts when a section of the program takes longer than its deadline.
///
/// A collective waits forever for a process that has died or hangs; if the launcher does not notice, every rank's watchdog
/// ends its own process.
///
/// ```
/// use std::time::Duration;
/// use vlp_distributed::{Expiry, Watchdog};
///
/// let watchdog = Watchdog::start(0, None, |expiry| expiry.exit());
/// let _training = watchdog.section("step", Duration::from_secs(60));
/// for _step in 0..3 {
///     // ... a step of the training ...
///     watchdog.beat();
/// }
/// ```
#[derive(Debug)]
pub struct Watchdog {
    shared: Arc<Shared>,
    longest: Option<Duration>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    section: Option<(&'static str, Duration)>,
    /// When the section began, or its last beat.
    since: Instant,
    stopped: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the section and starts its time; returns the previous one.
    fn enter(&self, section: Option<(&'static str, Duration)>) -> Option<(&'static str, Duration)> {
        let mut state = self.lock();
        state.since = Instant::now();
        let former = std::mem::replace(&mut state.section, section);
        drop(state);
        self.changed.notify_one();
        former
    }

    /// Waits until a section expires; `None` when the watchdog is stopped.
    fn wait(&self) -> Option<(&'static str, Duration)> {
        let mut state = self.lock();
        while !state.stopped {
            let Some((section, deadline)) = state.section else {
                let woken = self.changed.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let elapsed = state.since.elapsed();
            if elapsed >= deadline {
                return Some((section, deadline));
            }
            let woken = self.changed.wait_timeout(state, deadline - elapsed);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }
}

impl Watchdog {
    /// Starts the thread, outside any section.
    ///
    /// `longest` is an upper bound of every deadline, for tests.
    /// `on_expiry` is called once, in the watchdog's thread; it usually ends with [`Expiry::exit`].
    pub fn start(
        rank: usize,
        longest: Option<Duration>,
        on_expiry: impl FnOnce(Expiry) + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                section: None,
                since: Instant::now(),
                stopped: false,
            }),
            changed: Condvar::new(),
        });
        let watched = shared.clone();
        let thread = std::thread::spawn(move || {
            if let Some((section, deadline)) = watched.wait() {
                on_expiry(Expiry {
                    rank,
                    section,
                    deadline,
                });
            }
        });
        Self {
            shared,
            longest,
            thread: Some(thread),
        }
    }

    /// Enters a section that must end or [beat](Self::beat) within `deadline`.
    ///
    /// When the guard is dropped, the previous section applies again and its time restarts.
    pub fn section(&self, name: &'static str, deadline: Duration) -> Section<'_> {
        let deadline = self
            .longest
            .map_or(deadline, |longest| deadline.min(longest));
        Section {
            watchdog: self,
            former: self.shared.enter(Some((name, deadline))),
        }
    }

    /// Restarts the time of the current section.
    pub fn beat(&self) {
        // The thread looks at the new time when it wakes for the old one.
        self.shared.lock().since = Instant::now();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // An error is a panic of `on_expiry`, which has been printed.
            let _ = thread.join();
        }
    }
}

/// A section of the program, until it is dropped.
#[derive(Debug)]
#[must_use = "the section ends when it is dropped"]
pub struct Section<'a> {
    watchdog: &'a Watchdog,
    former: Option<(&'static str, Duration)>,
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        self.watchdog.shared.enter(self.former);
    }
}

/// The deadline of a step, computed from the durations of the last ones.
///
/// ```
/// use std::time::Duration;
/// use vlp_distributed::StepDeadline;
///
/// let mut steps = StepDeadline::default();
/// steps.record(Duration::from_secs(10));
/// assert_eq!(steps.deadline(), Duration::from_secs(200));
/// ```
#[derive(Debug, Clone, Default)]
pub struct StepDeadline {
    last: VecDeque<Duration>,
}

impl StepDeadline {
    /// Number of last steps whose median is taken.
    const STEPS: usize = 32;
    const SHORTEST: Duration = Duration::from_secs(60);
    /// Deadline of the first step, in which GPU kernels are compiled and data is opened.
    const FIRST: Duration = Duration::from_secs(1800);

    /// Records the duration of a step.
    pub fn record(&mut self, step: Duration) {
        if self.last.len() == Self::STEPS {
            self.last.pop_front();
        }
        self.last.push_back(step);
    }

    /// 20 times the median of the last 32 steps, at least 60 s; half an hour before the first.
    pub fn deadline(&self) -> Duration {
        let mut steps: Vec<Duration> = self.last.iter().copied().collect();
        steps.sort_unstable();
        let median = steps.get(steps.len() / 2);
        median.map_or(Self::FIRST, |median| {
            median.saturating_mul(20).max(Self::SHORTEST)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::Command;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// A deadline that passes in a test.
    const SHORT: Duration = Duration::from_millis(50);
    /// Longer than a test takes.
    const LONG: Duration = Duration::from_secs(600);

    fn watchdog(longest: Option<Duration>) -> (Watchdog, Receiver<Expiry>) {
        let (sender, expiries) = channel();
        let watchdog = Watchdog::start(3, longest, move |expiry| sender.send(expiry).unwrap());
        (watchdog, expiries)
    }

    #[test]
    fn a_section_that_does_not_end_expires() {
        let (watchdog, expiries) = watchdog(None);
        let _outer = watchdog.section("training", LONG);
        let _inner = watchdog.section("step", SHORT);
        let expiry = expiries.recv_timeout(LONG).unwrap();
        assert_eq!(
            (expiry.rank, expiry.section, expiry.deadline),
            (3, "step", SHORT)
        );
    }

    #[test]
    fn sections_that_end_do_not_expire_and_the_former_one_applies_again() {
        let (watchdog, expiries) = watchdog(None);
        drop(watchdog.section("step", 20 * SHORT));
        assert!(expiries.recv_timeout(30 * SHORT).is_err());
        let _outer = watchdog.section("save", SHORT);
        drop(watchdog.section("score", LONG));
        assert_eq!(expiries.recv_timeout(LONG).unwrap().section, "save");
    }

    #[test]
    fn beats_start_the_time_anew() {
        let (watchdog, expiries) = watchdog(None);
        let _section = watchdog.section("step", 20 * SHORT);
        for _ in 0..50 {
            std::thread::sleep(SHORT);
            watchdog.beat();
        }
        assert!(expiries.try_recv().is_err());
    }

    #[test]
    fn deadlines_can_be_lowered() {
        let (watchdog, expiries) = watchdog(Some(SHORT));
        let _section = watchdog.section("step", LONG);
        assert_eq!(expiries.recv_timeout(LONG).unwrap().deadline, SHORT);
    }

    /// Not a test of its own: the process that the next test starts.
    #[test]
    fn child_that_hangs() {
        if std::env::var_os("VLP_DISTRIBUTED_HANG").is_some() {
            let watchdog = Watchdog::start(2, Some(SHORT), |expiry| expiry.exit());
            let _section = watchdog.section("step", LONG);
            std::thread::sleep(LONG);
        }
    }

    #[test]
    fn a_process_that_hangs_exits_with_one_line() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "watchdog::tests::child_that_hangs",
                "--exact",
                "--nocapture",
            ])
            .env("VLP_DISTRIBUTED_HANG", "1")
            .output()
            .unwrap();
        assert_eq!(child.status.code(), Some(PEER_GONE));
        assert_eq!(
            String::from_utf8(child.stderr).unwrap(),
            "rank 2: section step has not ended after 0 s: another process has died or hangs; resume the run\n"
        );
    }

    #[test]
    fn steps_have_twenty_times_their_median_but_a_minute() {
        let mut steps = StepDeadline::default();
        assert_eq!(steps.deadline(), 1800 * SECOND);
        steps.record(90 * SECOND);
        assert_eq!(steps.deadline(), 1800 * SECOND);
        steps.record(SECOND);
        steps.record(SECOND);
        assert_eq!(steps.deadline(), 60 * SECOND);
        for _ in 0..StepDeadline::STEPS {
            steps.record(4 * SECOND);
        }
        assert_eq!(steps.last.len(), StepDeadline::STEPS);
        assert_eq!(steps.deadline(), 80 * SECOND);
    }
}
