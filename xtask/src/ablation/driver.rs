//! Starts jobs, waits for them, and stops them.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::job::{Job, Kind, State};
use super::progress::Progress;
use super::records::{Record, Records};
use crate::processes::job::send;

/// Time between looks at a process.
const INTERVAL: Duration = Duration::from_millis(100);
/// Exit code after a second signal.
const INTERRUPTED: i32 = 130;
/// Variable with the number of threads of a run: runs at a time share the cores.
const THREADS: &str = "RAYON_NUM_THREADS";
/// Lines of the output that an error shows.
const SHOWN: usize = 8;

/// Jobs that follow each other.
pub(super) type Chain = Vec<Job>;

/// Runs chains of jobs in the folder of all runs.
pub(super) struct Driver<'a> {
    pub(super) out: &'a Path,
    pub(super) program: &'a Path,
    /// Chains at a time.
    pub(super) workers: usize,
    pub(super) progress: Mutex<Progress>,
    pub(super) records: Mutex<&'a mut Records>,
    /// Processor, cores and memory, for the records.
    pub(super) machine: &'a str,
    /// Set by Ctrl-C and SIGTERM, and by a job that failed.
    pub(super) stop: Arc<AtomicBool>,
}

/// A flag that Ctrl-C and SIGTERM set; a second signal ends this process, while the runs save what they have.
pub(super) fn stop_on_signal() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let shutdown = flag::register_conditional_shutdown(signal, INTERRUPTED, stop.clone());
        let registered = shutdown.and_then(|_| flag::register(signal, stop.clone()));
        registered.map_err(|e| format!("signal {signal}: {e}"))?;
    }
    Ok(stop)
}

impl Driver<'_> {
    /// Runs what is not finished of all chains.
    ///
    /// # Errors
    /// If a job fails, or this process is told to stop.
    pub(super) fn run(&self, chains: Vec<Chain>) -> Result<(), String> {
        let queue = Mutex::new(VecDeque::from(chains));
        let outcomes = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers)
                .map(|_| scope.spawn(|| self.work(&queue)))
                .collect();
            while !workers.iter().all(|worker| worker.is_finished()) {
                thread::sleep(INTERVAL);
                self.with_progress(Progress::show);
            }
            let outcomes = workers.into_iter().map(|worker| worker.join());
            outcomes.collect::<Vec<_>>()
        });
        self.with_progress(|progress| progress.clear());
        for outcome in outcomes {
            outcome.map_err(|_| "a worker panicked".to_owned())??;
        }
        match self.stop.load(Ordering::Relaxed) {
            true => Err("stopped; the same command continues".into()),
            false => Ok(()),
        }
    }

    fn with_progress(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes chains until there are none, or a stop is requested.
    fn work(&self, queue: &Mutex<VecDeque<Chain>>) -> Result<(), String> {
        loop {
            let chain = queue.lock().map_err(|e| e.to_string())?.pop_front();
            for job in chain.iter().flatten() {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                if let Err(reason) = self.job(job) {
                    // The others save what they have.
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(reason);
                }
            }
            if chain.is_none() {
                return Ok(());
            }
        }
    }

    fn job(&self, job: &Job) -> Result<(), String> {
        let state = job.state(self.out)?;
        if let State::Finished(_) = state {
            return Ok(());
        }
        if state == State::New {
            job.write_record(self.out)?;
        }
        let started = Instant::now();
        self.with_progress(|progress| progress.start(job, self.out.join(&job.path)));
        let output = Output::open(job, self.out)?;
        let mut command = Command::new(self.program);
        command.args(job.arguments_for(state)).current_dir(self.out);
        if self.workers > 1 && std::env::var_os(THREADS).is_none() {
            let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
            command.env(THREADS, (cores / self.workers).max(1).to_string());
        }
        command.stdin(Stdio::null());
        command.stdout(output.stdout).stderr(output.stderr);
        // A group of its own: Ctrl-C reaches this process alone, which passes it on once.
        let child = command.process_group(0).spawn();
        let child = child.map_err(|e| format!("{}: {e}", self.program.display()))?;
        match self.wait(child)? {
            status if status.success() => {
                if let Kind::View(_) = job.kind {
                    let path = self.out.join(&job.path);
                    let partial = partial(job, self.out);
                    let renamed = fs::rename(&partial, &path);
                    renamed.map_err(|e| format!("{}: {e}", path.display()))?;
                }
                let record = Record::read(job, self.out, self.machine)?;
                let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
                records.add(record)?;
                drop(records);
                let seconds = started.elapsed().as_secs_f64();
                self.with_progress(|progress| progress.finish(job, seconds));
                Ok(())
            }
            _ if self.stop.load(Ordering::Relaxed) => Ok(()),
            status => {
                let log = job.log(self.out);
                let text = fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = &lines[lines.len().saturating_sub(SHOWN)..];
                Err(format!(
                    "{}: {status}; the last lines of {}:\n    {}",
                    job.label,
                    log.display(),
                    last.join("\n    ")
                ))
            }
        }
    }

    /// Waits for the end; passes a request to stop on.
    fn wait(&self, mut child: Child) -> Result<ExitStatus, String> {
        let mut is_told = false;
        loop {
            if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
                return Ok(status);
            }
            if !is_told && self.stop.load(Ordering::Relaxed) {
                send("TERM", &child.id().to_string());
                is_told = true;
            }
            thread::sleep(INTERVAL);
        }
    }
}

/// Where the output of an evaluation goes until it is whole.
fn partial(job: &Job, out: &Path) -> std::path::PathBuf {
    out.join(&job.path).with_extension("partial")
}

/// Where the output of a job goes.
struct Output {
    stdout: Stdio,
    stderr: Stdio,
}

impl Output {
    /// Everything into the log; the metrics of an evaluation into a file of their own.
    fn open(job: &Job, out: &Path) -> Result<Self, String> {
        let log = job.log(out);
        let failed = |e| format!("{}: {e}", log.display());
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(failed)?;
        let stdout = match job.kind {
            Kind::View(_) => File::create(partial(job, out)).map_err(failed)?,
            _ => file.try_clone().map_err(failed)?,
        };
        Ok(Self {
            stdout: stdout.into(),
            stderr: file.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A shell script in the place of `vlp`, and a job that gives it an argument.
    fn drive(out: &Path, script: &str, argument: &str, stop: bool) -> Result<(), String> {
        let program = out.join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let job = Job {
            kind: Kind::View("vqa".into()),
            label: "full seed 1: vqa, unseen".into(),
            path: "full/1/vqa.unseen.txt".into(),
            arguments: vec![argument.into()],
            steps: 1,
            curves: vec![],
        };
        let mut records = Records::open(&out.join("page.jsonl"))?;
        let flag = Arc::new(AtomicBool::new(false));
        let driver = Driver {
            out,
            program: &program,
            workers: 2,
            progress: Mutex::new(Progress::new([(&job, State::New)].into_iter(), 2)),
            records: Mutex::new(&mut records),
            machine: "a CPU",
            stop: flag.clone(),
        };
        thread::scope(|scope| {
            if stop {
                scope.spawn(|| {
                    while !out.join("started").exists() {
                        thread::sleep(INTERVAL);
                    }
                    flag.store(true, Ordering::Relaxed);
                });
            }
            driver.run(vec![vec![job.clone()]])
        })
    }

    #[test]
    fn output_appears_when_it_is_whole_and_is_not_made_twice() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path();
        let file = out.join("full/1/vqa.unseen.txt");
        let error = drive(out, "echo half; echo why >&2; exit 3", "0.5", false).unwrap_err();
        assert!(
            error.contains("exit status: 3") && error.ends_with("why"),
            "{error}"
        );
        assert!(!file.exists());
        drive(out, "echo \"vqa/accuracy $1\"", "0.5", false).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "vqa/accuracy 0.5\n");
        let records = fs::read_to_string(out.join("page.jsonl")).unwrap();
        assert!(
            records.contains(r#""metrics":{"vqa/accuracy":0.5}"#),
            "{records}"
        );
        drive(out, "exit 1", "0.5", false).unwrap();
        let error = drive(out, "exit 0", "0.6", false).unwrap_err();
        assert!(error.contains("0.5 there, 0.6 here"), "{error}");
    }

    #[test]
    fn a_stop_is_passed_on_and_is_no_failure_of_the_job() {
        let out = tempfile::tempdir().unwrap();
        let script =
            "trap 'echo saved >&2; exit 75' TERM; touch started; while :; do sleep 0.05; done";
        let error = drive(out.path(), script, "a", true).unwrap_err();
        assert_eq!(error, "stopped; the same command continues");
        let log = fs::read_to_string(out.path().join("full/1/vqa.unseen.txt.log")).unwrap();
        assert_eq!(log, "saved\n");
    }
}
