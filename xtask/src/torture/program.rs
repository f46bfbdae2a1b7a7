//! `vlp` under the shim.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::processes::job::Ended;

/// Longer than any command of a test takes.
const LIMIT_SECONDS: u32 = 300;

/// What happens to a process at a call that changes files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The call fails with this number, whose text is this.
    Error(i32, &'static str),
    /// A write writes half of its bytes, and says so.
    Short,
    /// The process is killed before the call, after half of a write, after the call.
    KillBefore,
    KillHalf,
    KillAfter,
}

pub(super) const DISK_FULL: Fault = Fault::Error(28, "No space left on device");
pub(super) const DISK_BROKEN: Fault = Fault::Error(5, "Input/output error");
pub(super) const QUOTA: Fault = Fault::Error(122, "Disk quota exceeded");
pub(super) const READ_ONLY: Fault = Fault::Error(30, "Read-only file system");

impl Fault {
    fn value(self) -> String {
        match self {
            Self::Error(number, _) => number.to_string(),
            Self::Short => "short".into(),
            Self::KillBefore => "before".into(),
            Self::KillHalf => "half".into(),
            Self::KillAfter => "after".into(),
        }
    }

    pub(super) fn describe(self) -> String {
        match self {
            Self::Error(_, text) => text.into(),
            Self::Short => "half a write".into(),
            Self::KillBefore => "killed before".into(),
            Self::KillHalf => "killed within".into(),
            Self::KillAfter => "killed after".into(),
        }
    }
}

pub(super) struct Program {
    command: Command,
}

impl Program {
    pub(super) fn new<S: AsRef<OsStr>>(program: &Path, shim: &Path, arguments: &[S]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .env("RAYON_NUM_THREADS", "1")
            .env("LD_PRELOAD", shim)
            .env("TORTURE_SECONDS", LIMIT_SECONDS.to_string());
        Self { command }
    }

    pub(super) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Counts the calls that change files below this folder.
    pub(super) fn below(self, folder: &Path) -> Self {
        self.with("TORTURE_FOLDER", folder)
    }

    /// Writes the calls to a file.
    pub(super) fn log(self, file: &Path) -> Self {
        self.with("TORTURE_LOG", file)
    }

    /// Lets the call of this number meet a fault.
    pub(super) fn fault(self, call: usize, fault: Fault) -> Self {
        self.with("TORTURE_AT", call.to_string())
            .with("TORTURE_FAULT", fault.value())
    }

    /// Lets all calls from this number on meet a fault.
    pub(super) fn fault_from(self, call: usize, fault: Fault) -> Self {
        self.fault(call, fault).with("TORTURE_FOR_GOOD", "1")
    }

    /// Sets the clock back by this many seconds whenever it is read.
    pub(super) fn clock_goes_back(self, seconds: u32) -> Self {
        self.with("TORTURE_CLOCK", seconds.to_string())
    }

    /// Writes the peak of the memory in KiB to a file, and allows this many MiB.
    pub(super) fn memory(self, peak: &Path, limit: usize) -> Self {
        self.with("TORTURE_PEAK", peak)
            .with("TORTURE_MEMORY", limit.to_string())
    }

    /// Starts it with its output in a file.
    pub(super) fn start_into(mut self, output: &Path) -> Result<Child, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", output.display());
        let file = File::create(output).map_err(failed)?;
        self.command.stderr(file.try_clone().map_err(failed)?);
        self.command.stdout(file);
        self.command.spawn().map_err(|e| format!("vlp: {e}"))
    }

    pub(super) fn start(mut self) -> Result<Child, String> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().map_err(|e| format!("vlp: {e}"))
    }

    /// Runs it to its end.
    pub(super) fn run(self) -> Result<Ended, String> {
        wait(self.start()?)
    }
}

/// Waits for the end of a process.
pub(super) fn wait(child: Child) -> Result<Ended, String> {
    let output: Output = child.wait_with_output().map_err(|e| format!("vlp: {e}"))?;
    let signal = output.status.signal().map(|signal| 128 + signal);
    let text = [output.stdout, output.stderr].concat();
    Ok(Ended {
        code: output.status.code().or(signal),
        output: String::from_utf8_lossy(&text).into_owned(),
    })
}
