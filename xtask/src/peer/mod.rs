//! vlp and PyTorch at the same work, in turns: `benches/peer/README.md` has the cases and the protocol.

mod machine;
mod python;
mod table;
mod worker;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use worker::Worker;

/// Every case, in the order of the table.
const CASES: [&str; 17] = [
    "resnet50-384",
    "resnet50-800x1333",
    "e2e-384",
    "e2e-800x1333",
    "e2e-step",
    "soho-r101-step",
    "soho-r18-step",
    "tiny-step",
    "soho-tiny-step",
    "caption-beam1",
    "caption-beam5",
    "dictionary",
    "matching",
    "jpeg",
    "tokenise",
    "tokenise-batched",
    "start",
];
/// Turns of each side.
const ROUNDS: usize = 5;
/// A turn repeats short cases for about so many seconds.
const TURN: f64 = 0.5;
const MOST_REPEATS: f64 = 50.0;

const OURS: &str = "vlp";
const THEIRS: &str = "PyTorch";

/// Runs the named cases, or all, adds what came of them to `target/peer/raw.jsonl` and renews
/// `docs/numbers.md` from that file. `table` does the last alone.
pub(crate) fn run(root: &Path, names: &[&str]) -> Result<(), String> {
    if names == ["table"] {
        return write_table(root);
    }
    let cases = choose(names)?;
    let python = python::interpreter(root)?;
    let build = cargo(root)
        .args(["build", "-q", "-p", "peer-worker"])
        .status();
    if !build.map_err(|e| format!("cargo: {e}"))?.success() {
        return Err("peer-worker did not build".into());
    }
    let bench = Bench {
        root,
        python: &python,
        command: ["cargo xtask peer", &names.join(" ")]
            .join(" ")
            .trim()
            .to_owned(),
        machine: machine::describe(),
        run: machine::now()?,
    };
    let mut failed = vec![];
    for case in cases {
        if let Err(reason) = bench.case(case) {
            println!("{case}: {reason}");
            failed.push(case);
        }
    }
    write_table(root)?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("failed: {}", failed.join(", "))),
    }
}

fn choose(names: &[&str]) -> Result<Vec<&'static str>, String> {
    if let Some(unknown) = names.iter().find(|name| !CASES.contains(name)) {
        return Err(format!(
            "no case is called {unknown:?}; there are {}",
            CASES.join(", ")
        ));
    }
    let chosen = CASES.iter().copied();
    Ok(chosen
        .filter(|case| names.is_empty() || names.contains(case))
        .collect())
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

fn raw_file(root: &Path) -> PathBuf {
    root.join("target/peer/raw.jsonl")
}

fn write_table(root: &Path) -> Result<(), String> {
    let raw = raw_file(root);
    let text = fs::read_to_string(&raw).map_err(|e| format!("{}: {e}", raw.display()))?;
    let page = root.join("docs/numbers.md");
    fs::write(&page, table::page(&text, &CASES)?).map_err(|e| format!("{}: {e}", page.display()))
}

/// What all cases of a run share.
struct Bench<'a> {
    root: &'a Path,
    python: &'a Path,
    command: String,
    machine: String,
    run: String,
}

impl Bench<'_> {
    /// Both sides in turns; fails where one of them does or their losses differ.
    fn case(&self, case: &str) -> Result<(), String> {
        let mut cargo = cargo(self.root);
        cargo.args(["run", "-q", "-p", "peer-worker"]);
        let folder = self.root.join("target/peer").join(case);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        // In a process of its own: the memory of drawing weights is no part of the case's.
        let files =
            Worker::start(OURS, &mut cargo)?.ask(&json!({"prepare": case, "dir": folder}))?;
        let mut ours = Worker::start(OURS, &mut cargo)?;
        let script = self.root.join("benches/peer/peer.py");
        let mut theirs = Worker::start(THEIRS, Command::new(self.python).arg(script))?;

        let request = |repeats: usize| json!({"case": case, "weights": files["weights"], "inputs": files["inputs"], "repeats": repeats});
        let mut sides = vec![];
        for worker in [&mut ours, &mut theirs] {
            let versions = worker.ask(&json!({"versions": true}))?["versions"].take();
            let first = worker.ask(&request(1))?;
            let seconds = table::seconds(&first);
            let least = seconds.into_iter().fold(f64::INFINITY, f64::min);
            let repeats = (TURN / least).clamp(1.0, MOST_REPEATS) as usize;
            sides.push((worker, versions, repeats));
        }
        let mut records = vec![];
        for _ in 0..ROUNDS {
            for (worker, versions, repeats) in &mut sides {
                let (others, mut record) = worker.ask_watched(&request(*repeats))?;
                for (key, value) in [
                    ("side", json!(worker.name())),
                    ("versions", versions.clone()),
                    ("others", json!(others)),
                    ("machine", json!(self.machine)),
                    ("run", json!(self.run)),
                    ("command", json!(self.command)),
                ] {
                    record[key] = value;
                }
                self.save(&record)?;
                records.push(record);
            }
        }
        let row = table::Row::of(case, &records)?;
        println!("{}", row.spoken());
        row.agreed()
    }

    fn save(&self, record: &Value) -> Result<(), String> {
        let path = raw_file(self.root);
        let fail = |e| format!("{}: {e}", path.display());
        let open = fs::OpenOptions::new().create(true).append(true).open(&path);
        writeln!(open.map_err(fail)?, "{record}").map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cases_are_chosen_by_name_in_their_order() {
        assert_eq!(choose(&["start", "jpeg"]).unwrap(), ["jpeg", "start"]);
        assert_eq!(choose(&[]).unwrap(), CASES);
        assert!(
            choose(&["jpg"])
                .unwrap_err()
                .contains("\"jpg\"; there are resnet50-384, ")
        );
    }
}
