//! vlp and PyTorch at the same work, in turns: `benches/peer/README.md` has the cases and the protocol.

mod machine;
mod python;
mod table;
mod target;
pub(crate) mod worker;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use target::Target;
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
    "tokenize",
    "tokenize-batched",
    "start",
];
/// Turns of each side.
const ROUNDS: usize = 5;
/// A turn repeats short cases for about so many seconds.
const TURN: f64 = 0.5;
const MOST_REPEATS: f64 = 50.0;

const OURS: &str = "vlp";
const THEIRS: &str = "PyTorch";
/// PyTorch with `channels_last` and `torch.compile`.
const COMPILED: &str = "PyTorch compiled";

/// Runs the named cases, or all, appends the records to `target/peer/PAGE.jsonl` and writes `docs/numbers/PAGE.md` from that
/// file; the page is named after the vector instructions, bf16 or the GPU. `table` only writes the pages.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let (target, names) = Target::parse(words)?;
    if names == ["table"] {
        return write_pages(root);
    }
    let cases = choose(names, &target)?;
    let python = python::interpreter(root)?;
    if let Some(mut build) = target.worker(|| cargo(root), "build") {
        let status = build.status().map_err(|e| format!("cargo: {e}"))?;
        if !status.success() {
            return Err("peer-worker did not build".into());
        }
    }
    let bench = Bench {
        root,
        target,
        python: &python,
        machine: [target.describe(), Some(machine::describe())]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
        run: machine::now()?,
    };
    let mut failed = vec![];
    for case in cases {
        if let Err(reason) = bench.case(case) {
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

fn choose(names: &[&str], target: &Target) -> Result<Vec<&'static str>, String> {
    if let Some(unknown) = names.iter().find(|name| !CASES.contains(name)) {
        return Err(format!(
            "no case is called {unknown:?}; there are {}",
            CASES.join(", ")
        ));
    }
    let chosen = CASES.iter().copied();
    Ok(chosen
        .filter(|case| target.takes(case) && (names.is_empty() || names.contains(case)))
        .collect())
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Writes the page of every file of raw records.
fn write_pages(root: &Path) -> Result<(), String> {
    let folder = root.join("target/peer");
    let failed = |error| format!("{}: {error}", folder.display());
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
        let text =
            table::page(&raw, &CASES, name).map_err(|e| format!("{}: {e}", path.display()))?;
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
    machine: String,
    run: String,
}

impl Bench<'_> {
    /// All sides in turns; fails where one of them does or their losses differ.
    fn case(&self, case: &str) -> Result<(), String> {
        let start = || {
            let command = self.target.worker(|| cargo(self.root), "run");
            Worker::start(OURS, &mut command.ok_or("no worker")?)
        };
        let folder = self.root.join("target/peer").join(case);
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        // In a process of its own: the memory of drawing weights is no part of the case's.
        let files = start()?.ask(&json!({"prepare": case, "dir": folder}))?;
        let script = self.root.join("benches/peer/peer.py");
        let python = |name| {
            let mut command = Command::new(self.python);
            command.arg(&script);
            // Graphs compiled for other instructions must not be loaded.
            command.env(
                "TORCHINDUCTOR_CACHE_DIR",
                self.target.inductor_cache(self.root),
            );
            Worker::start(name, &mut self.target.restrict(command))
        };
        let mut workers = vec![start()?, python(THEIRS)?];
        if self.target.compiles(case) {
            workers.push(python(COMPILED)?);
        }

        let request = |side: &str, repeats: usize| {
            let mut request = json!({"case": case, "weights": files["weights"], "inputs": files["inputs"], "repeats": repeats});
            if side == COMPILED {
                request["compiled"] = json!(true);
            }
            if let Some(device) = self.target.device_for(side) {
                request["device"] = json!(device);
            }
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
            let seconds = table::seconds(&first);
            let least = seconds.into_iter().fold(f64::INFINITY, f64::min);
            let repeats = (TURN / least).clamp(1.0, MOST_REPEATS) as usize;
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
        let row = table::Row::of(case, &records)?;
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
        assert_eq!(choose(&["start", "jpeg"], &cpu).unwrap(), ["jpeg", "start"]);
        assert_eq!(choose(&[], &cpu).unwrap(), CASES);
        assert!(
            choose(&["jpg"], &cpu)
                .unwrap_err()
                .contains("\"jpg\"; there are resnet50-384, ")
        );
    }
}
