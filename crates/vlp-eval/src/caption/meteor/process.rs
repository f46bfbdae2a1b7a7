//! A process that responds to each line with a line, with a timeout.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::error::MeteorError;

/// Number of bytes of standard error that are kept.
const MAX_STDERR: usize = 2000;

/// Threads read and write the pipes, so a process that hangs does not block the caller. They
/// end with the process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: Sender<String>,
    responses: Receiver<String>,
    stderr: Arc<Mutex<Vec<u8>>>,
    timeout: Duration,
}

impl Process {
    pub(super) fn start(
        program: &OsStr,
        options: &[&OsStr],
        timeout: Duration,
    ) -> Result<Self, MeteorError> {
        let fail = |source| MeteorError::JavaNotStarted {
            java: program.display().to_string(),
            source,
        };
        let mut child = Command::new(program)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        let (requests, request_queue) = channel::<String>();
        let (response_sender, responses) = channel();
        if let Some(mut stdin) = child.stdin.take() {
            thread::spawn(move || {
                for line in request_queue {
                    // The caller notices a closed pipe by the end of the responses.
                    if writeln!(stdin, "{line}")
                        .and_then(|()| stdin.flush())
                        .is_err()
                    {
                        break;
                    }
                }
            });
        }
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if response_sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let stderr = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut pipe) = child.stderr.take() {
            let stderr = Arc::clone(&stderr);
            thread::spawn(move || {
                let mut chunk = [0; MAX_STDERR];
                while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                    let mut stderr = stderr.lock().unwrap_or_else(PoisonError::into_inner);
                    stderr.extend(&chunk[..count]);
                    let excess = stderr.len().saturating_sub(MAX_STDERR);
                    stderr.drain(..excess);
                }
            });
        }
        Ok(Self {
            child,
            requests,
            responses,
            stderr,
            timeout,
        })
    }

    pub(super) fn send(&mut self, line: String) -> Result<(), MeteorError> {
        self.requests.send(line).map_err(|_| self.exited())
    }

    /// The next line, trimmed.
    pub(super) fn receive(&mut self) -> Result<String, MeteorError> {
        match self.responses.recv_timeout(self.timeout) {
            Ok(line) => Ok(line.trim().to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err(self.exited()),
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                Err(MeteorError::Timeout {
                    seconds: self.timeout.as_secs(),
                    stderr: self.stderr(),
                })
            }
        }
    }

    fn exited(&mut self) -> MeteorError {
        self.kill();
        // Its last output may not have been read yet.
        thread::sleep(Duration::from_millis(50));
        MeteorError::Exited {
            stderr: self.stderr(),
        }
    }

    fn stderr(&self) -> String {
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&stderr).trim() {
            "" => "no error output".to_owned(),
            text => text.to_owned(),
        }
    }

    fn kill(&mut self) {
        // Both fail only if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
