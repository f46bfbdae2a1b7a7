//! vlp and PyTorch at the same work, in turns: `benches/peer/README.md` has the cases and the protocol.

pub(crate) mod gpu;
pub(crate) mod machine;
mod memory;
mod old_page;
mod python;
mod row;
mod table;
mod target;
mod times;
mod two_step;
pub(crate) mod worker;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::names;
use old_page::OldPage;
use row::Row;
use target::Target;
use worker::Worker;

/// What a case is measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// PyTorch as it is, and compiled.
    Compiled,
    /// PyTorch as it is: `torch.compile` changes nothing.
    Eager,
    /// The CPU alone: it computes no tensor.
    HostOnly,
}

/// Every case, in the order of the table.
const CASES: [(&str, Kind); 19] = [
    ("resnet50-384", Kind::Compiled),
    ("resnet50-800x1333", Kind::Compiled),
    ("e2e-384", Kind::Compiled),
    ("e2e-800x1333", Kind::Compiled),
    ("e2e-pair-800x1333", Kind::Compiled),
    ("soho-pair-608x1024", Kind::Compiled),
    ("e2e-step", Kind::Compiled),
    ("soho-r101-step", Kind::Compiled),
    ("soho-r18-step", Kind::Compiled),
    ("tiny-step", Kind::Compiled),
    ("soho-tiny-step", Kind::Compiled),
    ("caption-beam1", Kind::Compiled),
    ("caption-beam5", Kind::Compiled),
    ("dictionary", Kind::Compiled),
    ("matching", Kind::Eager),
    ("jpeg", Kind::HostOnly),
    ("tokenize", Kind::HostOnly),
    ("tokenize-batched", Kind::HostOnly),
    ("start", Kind::Eager),
];
/// Turns of each side.
const ROUNDS: usize = 5;
/// A turn repeats short cases for about so many seconds.
const TURN: f64 = 0.5;
const MAX_REPEATS: f64 = 50.0;

const OURS: &str = "vlp";
const THEIRS: &str = "PyTorch";
/// PyTorch with `channels_last` and `torch.compile`.
const COMPILED: &str = "PyTorch compiled";

/// Runs the named cases, or all, appends the records to `target/peer/PAGE.jsonl` and writes `docs/numbers/PAGE.md` from that
/// file and, for cases that it has not, from the old page; the page is named after the vector instructions, bf16 or the GPU. `table` only writes the pages, `two-step` and
/// `memory` one of their own.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let (target, names) = Target::parse(words)?;
    if names == ["table"] {
        return write_pages(root);
    }
    let has_own_page = matches!(names, ["two-step" | "memory"]);
    let cases = match has_own_page {
        true => vec![],
        false => choose(names, &target)?,
    };
    let python = python::interpreter(root)?;
    let bench = Bench {
        root,
        target,
        python: &python,
        worker: target.worker(root)?,
        machine: [target.describe(), Some(machine::describe())]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
        run: machine::now()?,
    };
    match names {
        ["two-step"] => return two_step::run(&bench),
        ["memory"] => return memory::run(&bench),
        _ => {}
    }
    let mut failed = vec![];
    for (case, kind) in cases {
        if let Err(reason) = bench.case(case, kind) {
            println!("{case}: {reason}");
            failed.push(case);
        }
    }
    write_pages(root)?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("failed: {}", failed.join(", "))),
    }
}

fn choose(names: &[&str], target: &Target) -> Result<Vec<(&'static str, Kind)>, String> {
    names::check("case", names, &CASES.map(|(name, _)| name))?;
    let is_chosen = |name: &&str| names.is_empty() || names.contains(name);
    let cases = CASES.into_iter();
    Ok(cases
        .filter(|(name, kind)| target.takes(*kind) && is_chosen(name))
        .collect())
}

pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Writes the page of every file of raw records, which are this machine's alone.
fn write_pages(root: &Path) -> Result<(), String> {
    let folder = root.join("target/peer");
    let failed = |error| format!("{}: {error}", folder.display());
    let cases = CASES.map(|(case, _)| case);
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some(name) = name.strip_suffix(".jsonl") else {
            continue;
        };
        let raw = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let page = target::page_file(root, name);
        let old = OldPage::read(&page)?;
        let text = table::page(&raw, &cases, name, &old)
            .map_err(|e| format!("{}: {e}", path.display()))?;
        fs::create_dir_all(page.parent().unwrap_or(root))
            .map_err(|e| format!("{}: {e}", page.display()))?;
        fs::write(&page, text).map_err(|e| format!("{}: {e}", page.display()))?;
    }
    Ok(())
}

/// What all cases of a run share.
struct Bench<'a> {
    root: &'a Path,
    target: Target<'a>,
    python: &'a Path,
    worker: PathBuf,
    machine: String,
    run: String,
}

impl Bench<'_> {
    /// The last line of a page: date, machine and versions.
    fn footer(&self, versions: &Value) -> String {
        let versions = versions.as_object().into_iter().flatten();
        let versions: Vec<String> = versions
            .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")))
            .collect();
        let date = self.run.get(..10).unwrap_or(&self.run);
        format!("\n{date}: {}; {}\n", self.machine, versions.join(", "))
    }

    /// A new process of vlp's worker.
    fn ours(&self) -> Result<Worker, String> {
        let mut command = self.target.restrict(Command::new(&self.worker));
        Worker::start(OURS, command.current_dir(self.root))
    }

    /// A new process of PyTorch's worker.
    fn python(&self, name: &'static str) -> Result<Worker, String> {
        let mut command = Command::new(self.python);
        command.arg(self.root.join("benches/peer/peer.py"));
        // Graphs compiled for other instructions must not be loaded.
        command.env(
            "TORCHINDUCTOR_CACHE_DIR",
            self.target.inductor_cache(self.root),
        );
        Worker::start(name, &mut self.target.restrict(command))
    }

    /// All sides in turns; fails where one of them does or their losses differ.
    fn case(&self, case: &str, kind: Kind) -> Result<(), String> {
        // In a process of its own: the memory of drawing weights is no part of the case's.
        let files = self.ours()?.prepare(self.root, case)?;
        let mut workers = vec![self.ours()?, self.python(THEIRS)?];
        if kind == Kind::Compiled {
            workers.push(self.python(COMPILED)?);
        }

        let request = |side: &str, repeats: usize| {
            let mut request = json!({"case": case, "weights": files["weights"], "inputs": files["inputs"], "repeats": repeats});
            if side == COMPILED {
                request["compiled"] = json!(true);
            }
            self.target.complete(&mut request, side);
            request
        };
        let mut sides = vec![];
        for worker in &mut workers {
            let versions = worker.ask(&json!({"versions": true}))?["versions"].take();
            let first = match worker.ask(&request(worker.name(), 1)) {
                // The eager row stands without it.
                Err(reason) if worker.name() == COMPILED => {
                    println!("{case}: {COMPILED}: {reason}");
                    continue;
                }
                first => first?,
            };
            let seconds = times::seconds(&first);
            let least = seconds.into_iter().fold(f64::INFINITY, f64::min);
            let repeats = (TURN / least).clamp(1.0, MAX_REPEATS) as usize;
            sides.push((worker, versions, repeats));
        }
        let simd = sides[0].1["simd"].as_str().unwrap_or("unknown").to_owned();
        let raw = target::raw_file(self.root, &self.target.page(&simd));
        let mut records = vec![];
        for _ in 0..ROUNDS {
            for (worker, versions, repeats) in &mut sides {
                let request = request(worker.name(), *repeats);
                let (others, mut record) = worker.ask_watched(&request)?;
                let gpu = self.target.gpu_memory(worker.process());
                for (key, value) in [
                    ("side", json!(worker.name())),
                    ("versions", versions.clone()),
                    ("others", json!(others)),
                    ("gpu_memory", json!(gpu)),
                    ("machine", json!(self.machine)),
                    ("run", json!(self.run)),
                    ("tolerance", json!(self.target.tolerance(case))),
                    ("command", json!(self.target.command())),
                ] {
                    record[key] = value;
                }
                save(&raw, &record)?;
                records.push(record);
            }
        }
        let row = Row::of(case, &records)?;
        println!("{}", row.summary());
        row.agreed()
    }
}

fn save(path: &Path, record: &Value) -> Result<(), String> {
    let failed = |e| format!("{}: {e}", path.display());
    let open = fs::OpenOptions::new().create(true).append(true).open(path);
    writeln!(open.map_err(failed)?, "{record}").map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cases_are_chosen_by_name_in_their_order() {
        let (cpu, _) = Target::parse(&[]).unwrap();
        let two = choose(&["start", "jpeg"], &cpu).unwrap();
        assert_eq!([two[0].0, two[1].0], ["jpeg", "start"]);
        assert_eq!(choose(&[], &cpu).unwrap().len(), CASES.len());
        assert!(
            choose(&["jpg"], &cpu)
                .unwrap_err()
                .contains("\"jpg\"; there are resnet50-384, ")
        );
    }
}
