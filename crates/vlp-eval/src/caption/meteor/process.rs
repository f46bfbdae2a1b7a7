//! A process that answers lines with lines, and never keeps the caller waiting for ever.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::MeteorError;

/// So much of the error output is kept, in bytes.
const KEPT: usize = 2000;

/// Pipes are served by threads: a process that neither reads nor writes blocks those alone. They
/// end with the process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: Sender<String>,
    answers: Receiver<String>,
    stderr: Arc<Mutex<Vec<u8>>>,
    patience: Duration,
}

impl Process {
    pub(super) fn start(
        program: &OsStr,
        options: &[&OsStr],
        patience: Duration,
    ) -> Result<Self, MeteorError> {
        let fail = |source| MeteorError::NoJava {
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
        let (requests, to_send) = channel::<String>();
        let (answered, answers) = channel();
        if let Some(mut stdin) = child.stdin.take() {
            thread::spawn(move || {
                for line in to_send {
                    // A closed pipe shows as the end of the answers.
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
                    if answered.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let stderr = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut from) = child.stderr.take() {
            let kept = Arc::clone(&stderr);
            thread::spawn(move || {
                let mut chunk = [0; KEPT];
                while let Ok(count @ 1..) = from.read(&mut chunk) {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.extend(&chunk[..count]);
                    let old = kept.len().saturating_sub(KEPT);
                    kept.drain(..old);
                }
            });
        }
        Ok(Self {
            child,
            requests,
            answers,
            stderr,
            patience,
        })
    }

    pub(super) fn send(&mut self, line: String) -> Result<(), MeteorError> {
        self.requests.send(line).map_err(|_| self.ended())
    }

    /// The next line, without spaces at its ends.
    pub(super) fn receive(&mut self) -> Result<String, MeteorError> {
        match self.answers.recv_timeout(self.patience) {
            Ok(line) => Ok(line.trim().to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) => {
                self.end();
                Err(MeteorError::NoAnswer {
                    seconds: self.patience.as_secs(),
                    stderr: self.said(),
                })
            }
        }
    }

    fn ended(&mut self) -> MeteorError {
        self.end();
        // Its last words may still be on their way.
        thread::sleep(Duration::from_millis(50));
        MeteorError::Ended {
            stderr: self.said(),
        }
    }

    fn said(&self) -> String {
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&kept).trim() {
            "" => "it said nothing".to_owned(),
            said => said.to_owned(),
        }
    }

    fn end(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
