//! A process that answers each line of JSON with one.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::{cargo, machine};

const PACKAGE: &str = "peer-worker";

/// How vlp's worker is built.
pub(crate) struct Build<'a> {
    pub(crate) features: Option<&'a str>,
    /// The target folder, if it is another one.
    pub(crate) target: Option<&'a str>,
    pub(crate) profile: Option<&'a str>,
}

impl Build<'_> {
    /// Builds it and returns the executable.
    pub(crate) fn run(&self, root: &Path) -> Result<PathBuf, String> {
        let mut command = cargo(root);
        command.args(["build", "-q", "-p", PACKAGE]);
        command.arg("--message-format=json-render-diagnostics");
        for (option, value) in [
            ("--features", self.features),
            ("--target-dir", self.target),
            ("--profile", self.profile),
        ] {
            command.args(value.into_iter().flat_map(|value| [option, value]));
        }
        command.stderr(Stdio::inherit());
        let output = command.output().map_err(|e| format!("cargo: {e}"))?;
        if !output.status.success() {
            return Err(format!("{PACKAGE} did not build"));
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        executable(&messages).ok_or_else(|| format!("cargo named no executable of {PACKAGE}"))
    }
}

/// The last executable that cargo's JSON messages name.
fn executable(messages: &str) -> Option<PathBuf> {
    messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    })
}

/// One side of the comparison; the process ends with the value.
pub(crate) struct Worker {
    name: &'static str,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self, String> {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes
            .spawn()
            .map_err(|e| format!("{name}: {}: {e}", command.get_program().display()))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok(Self {
                name,
                child,
                stdin,
                stdout: BufReader::new(stdout),
            }),
            _ => Err(format!("{name}: no pipes")),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// The fraction of the cores that other processes took while `request` was answered, and the answer.
    pub(super) fn ask_watched(&mut self, request: &Value) -> Result<(Option<f64>, Value), String> {
        let process = self.child.id();
        let ticks = || Some((machine::ticks()?, machine::ticks_of(process)?));
        let before = ticks();
        let answer = self.ask(request)?;
        let others = before
            .zip(ticks())
            .and_then(|(((b0, a0), o0), ((b1, a1), o1))| {
                (a1 > a0).then(|| ((b1 - b0 - (o1 - o0)) / (a1 - a0)).max(0.0))
            });
        Ok((others, answer))
    }

    /// Adds what it is built with.
    pub(super) fn add_versions(&mut self, versions: &mut Value) -> Result<(), String> {
        let answer = self.ask(&json!({"versions": true}))?;
        for (name, version) in answer["versions"].as_object().into_iter().flatten() {
            versions[name] = version.clone();
        }
        Ok(())
    }

    /// Writes the files of a case below `target/peer`: the answer names them.
    pub(crate) fn prepare(&mut self, root: &Path, case: &str) -> Result<Value, String> {
        let folder = root.join("target/peer").join(case);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        self.ask(&json!({"prepare": case, "dir": folder}))
    }

    /// The answer to a request; an answer with `error` is one.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value, String> {
        let name = self.name;
        let mut line = String::new();
        // A process that has ended shows as an empty answer: its own words are on the terminal.
        let _ = writeln!(self.stdin, "{request}").and_then(|()| self.stdin.flush());
        self.stdout
            .read_line(&mut line)
            .map_err(|e| format!("{name}: {e}"))?;
        if line.is_empty() {
            return Err(format!("{name}: ended without an answer to {request}"));
        }
        let answer: Value =
            serde_json::from_str(&line).map_err(|e| format!("{name}: {e}: {}", line.trim_end()))?;
        match answer.get("error") {
            Some(error) => Err(format!("{name}: {}", error.as_str().unwrap_or("error"))),
            None => Ok(answer),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ask(script: &str) -> Result<Value, String> {
        let mut worker = Worker::start("fake", Command::new("sh").args(["-c", script]))?;
        worker.ask(&json!({"case": "x"}))
    }

    #[test]
    fn the_worker_is_the_executable_that_cargo_names_last() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/t/debug/build-script"}
{"reason":"compiler-artifact","executable":"/t/debug/peer-worker"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages), Some("/t/debug/peer-worker".into()));
        assert_eq!(executable("not JSON\n{}\n"), None);
    }

    #[test]
    fn answers_are_read_and_failures_named() {
        assert_eq!(ask("cat").unwrap(), json!({"case": "x"}));
        let error = |script| ask(script).unwrap_err();
        assert_eq!(
            error("read -r l; echo '{\"error\": \"no weights\"}'"),
            "fake: no weights"
        );
        assert_eq!(
            error("true"),
            "fake: ended without an answer to {\"case\":\"x\"}"
        );
        assert!(error("read -r l; echo Traceback").ends_with("Traceback"));
        assert!(Worker::start("fake", &mut Command::new("/nowhere")).is_err());
    }
}
