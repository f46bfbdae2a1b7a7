//! The case `start`: from nothing to the first answer.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::error::PeerError;

/// Seconds of a fresh process from its start to its end, and its answer to `request`.
pub(crate) fn ask(request: &Value) -> Result<(f64, Value), PeerError> {
    let fail = PeerError::Fresh;
    let io = |error: std::io::Error| PeerError::Fresh(error.to_string());
    let program = std::env::current_exe().map_err(io)?;
    let start = Instant::now();
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(io)?;
    // The pipe closes here, which ends the process after its answer.
    let sent = child.stdin.take().map(|mut to| writeln!(to, "{request}"));
    let output = child.wait_with_output().map_err(io)?;
    let seconds = start.elapsed().as_secs_f64();
    sent.transpose().map_err(io)?;
    if !output.status.success() {
        return Err(fail(output.status.to_string()));
    }
    let answer: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| fail(error.to_string()))?;
    match answer.get("error") {
        Some(error) => Err(fail(error.to_string())),
        None => Ok((seconds, answer)),
    }
}
