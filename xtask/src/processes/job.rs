//! A launcher that a scenario starts, and the processes that train under it.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::wait;

/// Time between looks at processes and files.
const INTERVAL: Duration = Duration::from_millis(20);

/// What a launcher has started: a process group whose output goes to a file. Dropping it kills it, and all processes that
/// train in its run folder.
pub(crate) struct Job {
    child: Child,
    output: PathBuf,
    /// The program, and an argument that only processes of this job have.
    program: PathBuf,
    run: PathBuf,
}

/// A job that has ended.
pub(crate) struct Ended {
    /// Exit code; 128 and the signal's number after a signal; none of a launcher that crashed or hung by itself.
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
}

/// A process that trains.
#[derive(Clone, Copy)]
pub(crate) struct Process {
    pub(crate) rank: usize,
    pub(crate) id: u32,
}

impl Job {
    /// `run` is the folder that the arguments of `program` name.
    pub(crate) fn start(
        mut command: Command,
        program: &Path,
        run: &Path,
        output: PathBuf,
    ) -> Result<Self, String> {
        let failed = |error| format!("{}: {error}", output.display());
        let file = File::create(&output).map_err(failed)?;
        let errors = file.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command.process_group(0).spawn();
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self {
            child: child.map_err(|error| format!("{name}: {error}"))?,
            output,
            program: program.into(),
            run: run.into(),
        })
    }

    /// The processes that train, in the order of ranks.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut processes: Vec<Process> = ids
            .filter(|id| self.is_training(*id).unwrap_or(false))
            .map(|id| Process {
                rank: rank(id).unwrap_or(0),
                id,
            })
            .collect();
        processes.sort_by_key(|process| process.rank);
        processes
    }

    /// A process that is gone has no arguments, neither has a zombie.
    fn is_training(&self, id: u32) -> Option<bool> {
        let program = fs::read_link(format!("/proc/{id}/exe")).ok()?;
        let arguments = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let run = self.run.to_str()?.as_bytes();
        let mut arguments = arguments.split(|byte| *byte == 0);
        Some(program == self.program && arguments.any(|argument| argument == run))
    }

    /// Waits until `condition` holds.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        let look = || match condition(self) {
            true => Ok(true),
            false => match self.poll()? {
                None => Ok(false),
                Some(ended) => Err(format!("ended before {what}: {}", ended.describe())),
            },
        };
        match wait::until(INTERVAL, limit, look)? {
            true => Ok(()),
            false => Err(format!(
                "{what}: not within {} s; {}",
                limit.as_secs(),
                tail(&self.read_output())
            )),
        }
    }

    /// Waits until the launcher has ended, and no process of it is left.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Ended, String> {
        let start = Instant::now();
        loop {
            let left = self.processes();
            if let Some(ended) = self.poll()?
                && left.is_empty()
            {
                return Ok(ended);
            }
            if start.elapsed() > limit && left.is_empty() {
                self.kill_launcher();
                return Ok(Ended {
                    code: None,
                    output: self.read_output(),
                });
            }
            if start.elapsed() > limit {
                return Err(format!(
                    "not over after {} s, {} processes are left; {}",
                    limit.as_secs(),
                    left.len(),
                    tail(&self.read_output())
                ));
            }
            std::thread::sleep(INTERVAL);
        }
    }

    /// What the launcher has ended with, if it has.
    pub(crate) fn poll(&mut self) -> Result<Option<Ended>, String> {
        let status = self.child.try_wait().map_err(|error| error.to_string())?;
        Ok(status.map(|status| {
            let signal = status.signal().map(|signal| 128 + signal);
            let output = self.read_output();
            let has_crashed = output.contains("PMIx_server_finalize");
            Ended {
                code: status.code().or(signal).filter(|_| !has_crashed),
                output,
            }
        }))
    }

    pub(crate) fn read_output(&self) -> String {
        let bytes = fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills the launcher and all that it started in its process group.
    pub(crate) fn kill_launcher(&mut self) {
        let group = format!("-{}", self.child.id());
        send("KILL", &group);
        let _ = self.child.wait();
    }

    /// The launcher's process.
    pub(crate) fn launcher(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.kill_launcher();
        }
        for process in self.processes() {
            send("KILL", &process.id.to_string());
        }
    }
}

impl Ended {
    /// Fails if the code is another one, or the launcher crashed or hung.
    pub(crate) fn expect(self, code: i32) -> Result<String, String> {
        match self.code {
            Some(ended) if ended == code => Ok(self.output),
            _ => Err(format!(
                "exit code {code} expected, not {}",
                self.describe()
            )),
        }
    }

    /// As [`Self::expect`], for `mpirun` after a process of it failed: that of Open MPI 4.1 crashes or hangs now and then once
    /// its processes have ended as they should. The caller also looks at what they have printed or written.
    pub(crate) fn expect_of_mpirun(self, code: i32) -> Result<String, String> {
        if self.code.is_none() {
            println!("  the launcher itself crashed or hung after its processes had ended");
            return Ok(self.output);
        }
        self.expect(code)
    }

    fn describe(&self) -> String {
        match self.code {
            Some(code) => format!("{code}; {}", tail(&self.output)),
            None => format!("a launcher that died; {}", tail(&self.output)),
        }
    }
}

/// The last lines of an output.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let last = &lines[lines.len().saturating_sub(12)..];
    format!("its last lines:\n    {}", last.join("\n    "))
}

/// The rank that the launcher gave a process.
fn rank(id: u32) -> Option<usize> {
    let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let rank = |name: &str| {
        let mut values = environment
            .split('\0')
            .filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        values.next()?.parse().ok()
    };
    ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"]
        .into_iter()
        .find_map(rank)
}

/// Sends a signal to a process, or to a process group `-ID`.
pub(crate) fn send(signal: &str, to: &str) {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", signal, to]);
    kill.stderr(Stdio::null());
    // A process that is gone needs no signal.
    let _ = kill.status();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn job(folder: &Path, script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(folder);
        let program = fs::canonicalize("/bin/sh").unwrap();
        Job::start(command, &program, folder, folder.join("output")).unwrap()
    }

    #[test]
    fn a_job_ends_with_its_code_and_output() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(folder.path(), "echo words; exit 7");
        let ended = job.wait(Duration::from_secs(10)).unwrap();
        assert_eq!((ended.code, ended.output.as_str()), (Some(7), "words\n"));
        assert!(ended.expect(0).unwrap_err().contains("not 7"));
    }

    #[test]
    fn a_launcher_that_died_is_excused_where_it_is_expected_alone() {
        let ended = |code| Ended {
            code,
            output: "PMIx_server_finalize".into(),
        };
        assert!(ended(None).expect(1).is_err());
        assert!(ended(None).expect_of_mpirun(1).is_ok());
        assert!(ended(Some(1)).expect_of_mpirun(1).is_ok());
        assert!(ended(Some(0)).expect_of_mpirun(1).is_err());
    }

    #[test]
    fn what_is_left_is_seen_and_killed() {
        let folder = tempfile::tempdir().unwrap();
        // The second shell leaves the process group, as processes on other hosts do.
        let script = r#"setsid sh -c 'touch "$1.started"; sleep 60; :' sh "$1" &
            until [ -e "$1.started" ]; do sleep 0.01; done; exit 0"#;
        let mut orphaned = job(folder.path(), script);
        let error = orphaned.wait(Duration::from_secs(1)).err().unwrap();
        assert!(error.contains("1 processes are left"), "{error}");
        drop(orphaned);
        let mut other = job(folder.path(), "exit 0");
        assert!(other.wait(Duration::from_secs(5)).is_ok());
    }

    #[test]
    fn a_signal_is_a_code() {
        let folder = tempfile::tempdir().unwrap();
        let mut job = job(folder.path(), "sleep 60; :");
        job.wait_until("start", Duration::from_secs(5), |job| {
            !job.processes().is_empty()
        })
        .unwrap();
        send("TERM", &format!("-{}", job.launcher()));
        assert_eq!(job.wait(Duration::from_secs(5)).unwrap().code, Some(143));
    }
}
