//! Measurements on a GPU within a given time: the comparison with PyTorch, and the gains of recorded graphs and fusion.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::old_page::{Note, Notes, OldPage};
use super::target::{self, Target};
use super::worker::{Build, Worker};
use super::{machine, python, times};

/// What is recorded as graphs: forward passes, captions and training steps.
const CAPTURED: [&str; 10] = [
    "resnet50-384",
    "e2e-384",
    "caption-beam1",
    "e2e-step",
    "tiny-step",
    "soho-r18-step",
    "soho-tiny-step",
    "caption-beam5",
    "e2e-800x1333",
    "soho-r101-step",
];
/// The other rows against PyTorch.
const OTHERS: [&str; 2] = ["dictionary", "resnet50-800x1333"];
/// The rows against PyTorch in bf16.
const BF16: [&str; 4] = [
    "e2e-step",
    "soho-r101-step",
    "e2e-800x1333",
    "resnet50-800x1333",
];
const USAGE: &str = "usage: cargo xtask gpu cuda|wgpu [MINUTES]";

/// Builds the worker with and without fusion, then measures for so many minutes, 10 if none are given. Writes
/// `docs/numbers/DEVICE-graphs.md` and, by `cargo xtask peer`, `docs/numbers/DEVICE.md`.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let (device, minutes) = match *words {
        [device @ ("cuda" | "wgpu")] => (device, 10.0),
        [device @ ("cuda" | "wgpu"), minutes] => {
            let minutes: f64 = minutes.parse().map_err(|_| USAGE.to_owned())?;
            (device, minutes)
        }
        _ => return Err(USAGE.into()),
    };
    let python = python::interpreter(root)?;
    let workers = [
        build(root, device)?,
        build(root, &format!("{device}-unfused"))?,
    ];
    let end = Instant::now() + Duration::from_secs_f64(60.0 * minutes);
    let bench = Bench {
        root,
        device,
        workers: &workers,
        python: &python,
    };
    let (mut rows, mut skipped) = (HashMap::new(), vec![]);
    for case in CAPTURED {
        if Instant::now() >= end {
            skipped.push(case);
            continue;
        }
        match bench.row(case) {
            Ok(row) => drop(rows.insert(case, row)),
            // The page keeps the line that it has.
            Err(reason) => println!("{case}: {reason}"),
        }
        bench.write_page(&rows)?;
    }
    let f32 = CAPTURED
        .into_iter()
        .chain(OTHERS)
        .map(|case| (case, &[][..]));
    let bf16 = BF16.map(|case| (case, &["--precision", "bf16"][..]));
    for (case, precision) in f32.chain(bf16) {
        if Instant::now() >= end {
            skipped.push(case);
            continue;
        }
        // In a process of its own, which has the worker that is built already.
        let this = std::env::current_exe().map_err(|e| format!("xtask: {e}"))?;
        let mut command = Command::new(this);
        command
            .args(["peer", "--device", device])
            .args(precision)
            .arg(case);
        command.env("VLP_PEER_WORKER", &workers[0]);
        let status = command.status().map_err(|e| format!("xtask: {e}"))?;
        if !status.success() {
            println!("{case}: failed");
        }
    }
    match skipped.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "no time was left for {}; kernels that were compiled and tuned are kept for the next run",
            skipped.join(", ")
        )),
    }
}

/// The worker with these features; `VLP_GPU_WORKERS` names a folder that has `FEATURES/debug/peer-worker` already.
fn build(root: &Path, features: &str) -> Result<PathBuf, String> {
    if let Some(ready) = std::env::var_os("VLP_GPU_WORKERS") {
        let worker = PathBuf::from(ready)
            .join(features)
            .join("debug/peer-worker");
        return match worker.is_file() {
            true => Ok(worker),
            false => Err(format!("{}: no such file", worker.display())),
        };
    }
    let build = Build {
        features: Some(features),
        // Each set of features is kept built.
        target: Some(&format!("target/{features}")),
        profile: None,
    };
    build.run(root)
}

struct Bench<'a> {
    root: &'a Path,
    device: &'a str,
    /// With fusion and without.
    workers: &'a [PathBuf; 2],
    python: &'a Path,
}

/// A measured time, and how the graphs came out.
struct Measured {
    milliseconds: f64,
    graphs: String,
}

impl Bench<'_> {
    /// A line of the table; the reason of a column that failed is printed.
    ///
    /// # Errors
    /// If the files of the case cannot be prepared.
    fn row(&self, case: &str) -> Result<String, String> {
        println!("{case}");
        let mut worker = Worker::start("vlp", &mut Command::new(&self.workers[0]))?;
        let files = worker.prepare(self.root, case)?;
        drop(worker);
        let (fused, unfused) = (&self.workers[0], &self.workers[1]);
        let ours = |worker: &Path, extra: Value| {
            self.time(&mut Command::new(worker), case, &files, self.device, extra)
        };
        let torch = |extra: Value| {
            let mut command = Command::new(self.python);
            command.arg(self.root.join("benches/peer/peer.py"));
            self.time(&mut command, case, &files, "cuda", extra)
        };
        let graph = ours(fused, json!({}));
        let columns = [
            &graph,
            &ours(fused, json!({"eager": true})),
            &ours(unfused, json!({})),
            &ours(unfused, json!({"eager": true})),
            &ours(fused, json!({"precision": "f32"})),
            &ours(fused, json!({"precision": "bf16"})),
            &torch(json!({})),
            &torch(json!({"precision": "f32"})),
        ];
        let mut line = format!("| `{case}` |");
        for column in columns {
            match column {
                Ok(measured) => _ = write!(line, " {:.2} |", measured.milliseconds),
                Err(reason) => {
                    println!("{case}: {reason}");
                    line += " failed |";
                }
            }
        }
        match self.kernels(case, &files) {
            Ok((count, milliseconds)) => _ = write!(line, " {count} | {milliseconds:.2} |"),
            Err(reason) => {
                println!("{case}: {reason}");
                line += " failed | failed |";
            }
        }
        let graphs = graph.map_or_else(|reason| reason, |measured| measured.graphs);
        println!("{line} {graphs}");
        Ok(format!("{line} {graphs} |"))
    }

    /// The least time of a case in a process of its own.
    fn time(
        &self,
        command: &mut Command,
        case: &str,
        files: &Value,
        device: &str,
        extra: Value,
    ) -> Result<Measured, String> {
        let mut worker = Worker::start("worker", command.current_dir(self.root))?;
        // The first runs compile, tune and record.
        worker.ask(&request(case, files, device, &extra, 3))?;
        let answer = worker.ask(&request(case, files, device, &extra, 15))?;
        let seconds = times::seconds(&answer).into_iter();
        Ok(Measured {
            milliseconds: 1e3 * seconds.fold(f64::NAN, f64::min),
            graphs: graphs_of(&answer),
        })
    }

    /// Kernels of a run without graphs, and the time that they take by themselves in milliseconds.
    fn kernels(&self, case: &str, files: &Value) -> Result<(usize, f64), String> {
        let folder = self.root.join("target/gpu-profile");
        let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        let log = folder.join("kernels.log");
        let environment = self.root.join("target/environment");
        let config = format!(
            "[profiling]\nlogger = {{ level = \"basic\", file = {:?} }}\n[environment]\npath = {:?}\n",
            log.display().to_string(),
            environment.display().to_string()
        );
        fs::write(folder.join("cubecl.toml"), config).map_err(failed)?;
        fs::write(&log, "").map_err(failed)?;
        let mut command = Command::new(&self.workers[0]);
        let mut worker = Worker::start("vlp", command.current_dir(&folder))?;
        let extra = json!({"eager": true});
        let mut lines = |repeats| {
            worker.ask(&request(case, files, self.device, &extra, repeats))?;
            // The log is written by a thread of its own.
            std::thread::sleep(Duration::from_secs(1));
            fs::read_to_string(&log).map_err(|e| format!("{}: {e}", log.display()))
        };
        let before = lines(3)?;
        let after = lines(1)?;
        let run = after.get(before.len()..).unwrap_or_default();
        let times: Vec<f64> = run.lines().filter_map(kernel_time).collect();
        match times.is_empty() {
            true => Err("no kernel was logged".into()),
            false => Ok((times.len(), times.iter().sum())),
        }
    }

    /// Writes the page with these lines, and those of the old page for other cases.
    fn write_page(&self, rows: &HashMap<&str, String>) -> Result<(), String> {
        let device = self.device;
        let (target, _) = Target::parse(&["--device", device])?;
        let name = target.describe().unwrap_or_else(|| "unknown GPU".into());
        let note = Note {
            date: machine::now()?.get(..10).unwrap_or_default().into(),
            machine: format!("{name}, {}", machine::describe()),
        };
        let path = target::page_file(self.root, &format!("{device}-graphs"));
        let text = page(device, rows, &note, &OldPage::read(&path)?);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// The page of lines by case, all measured as the note says, and of the old page's lines of other cases.
fn page(device: &str, rows: &HashMap<&str, String>, note: &Note, old: &OldPage) -> String {
    let (mut lines, mut notes) = (String::new(), Notes::default());
    for case in CAPTURED {
        let measured = rows.get(case).map(|row| (row.as_str(), note.clone()));
        if let Some((row, note)) = measured.or_else(|| old.row(case)) {
            lines += &format!("{row}\n");
            notes.add(note, case);
        }
    }
    let page = format!(
        "# Graphs and fusion on a GPU: {device}\n\n\
         Written by `cargo xtask gpu {device}`, never by hand; the rows against PyTorch are in [{device}.md]({device}.md).\n\n\
         Milliseconds, the minimum of 15 runs.\n\
         A forward pass, a step of caption decoding or a training step is recorded as a graph and replayed; without graphs each kernel is started by the processor.\n\
         Fusion joins element-wise operations.\n\
         Products and convolutions are in TF32 where the GPU has it, on both sides, except in the columns f32 and bf16; vlp's convolutions use TF32 in f32 too, which burn 0.22.1 cannot switch off.\n\
         Kernels are those of a run without graphs, with their own time, measured one by one.\n\
         The last column has, for each recorded function, the graphs recorded and replayed, and why it was not recorded.\n\n\
         | case | graph | no graph | graph, no fusion | no graph, no fusion | graph, f32 | graph, bf16 | PyTorch TF32 | PyTorch f32 | kernels | kernels alone | graphs |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n{lines}"
    );
    page + &notes.text()
}

fn request(case: &str, files: &Value, device: &str, extra: &Value, repeats: usize) -> Value {
    let mut request = json!({"case": case, "weights": files["weights"], "inputs": files["inputs"],
        "device": device, "repeats": repeats});
    for (key, value) in extra.as_object().into_iter().flatten() {
        request[key] = value.clone();
    }
    request
}

/// `backbone 1 recorded, 17 replayed` for each function of an answer.
fn graphs_of(answer: &Value) -> String {
    let graphs = answer["graphs"].as_array().into_iter().flatten();
    let graphs = graphs.map(|graph| {
        let name = graph["name"].as_str().unwrap_or("?");
        let mut text = format!(
            "{name} {} recorded, {} replayed",
            graph["recordings"], graph["replays"]
        );
        for fallback in graph["fallbacks"].as_array().into_iter().flatten() {
            let reason = fallback[0].as_str().unwrap_or("?").replace('|', "/");
            _ = write!(text, ", {} without: {reason}", fallback[1]);
        }
        text
    });
    graphs.collect::<Vec<_>>().join("; ")
}

/// Milliseconds of a line `| 12.3µs     | kernel`.
fn kernel_time(line: &str) -> Option<f64> {
    let time = line.split('|').nth(1)?.trim();
    let units = [("ns", 1e-6), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3)];
    units.iter().find_map(|(unit, milliseconds)| {
        let number: f64 = time.strip_suffix(unit)?.parse().ok()?;
        Some(number * milliseconds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_was_not_measured_keeps_its_line() {
        let row = |case: &str, time: usize| format!("| `{case}` | {time} |");
        let note = |date: &str, name: &str| Note {
            date: date.into(),
            machine: name.into(),
        };
        let rows = ["e2e-384", "e2e-step"].map(|case| (case, row(case, 1)));
        let none = OldPage::default();
        let old = page("cuda", &rows.into(), &note("2026-01-01", "a GPU"), &none);
        let rows = HashMap::from([("e2e-384", row("e2e-384", 2))]);
        let new = note("2026-02-01", "another GPU");
        let text = page("cuda", &rows, &new, &OldPage::from(old.as_str()));
        let end = "| `e2e-384` | 2 |\n| `e2e-step` | 1 |\n\n- 2026-02-01 (e2e-384): another GPU\n\n- 2026-01-01 (e2e-step): a GPU\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn kernel_times_are_read_in_every_unit() {
        for (line, milliseconds) in [
            ("| 1.5µs      | a kernel", Some(1.5e-3)),
            ("| 2ms        | a | b", Some(2.0)),
            ("| 250ns      | k", Some(2.5e-4)),
            ("| 1s         | k", Some(1e3)),
            ("| not measured | k", None),
            ("Executing k", None),
        ] {
            let time = kernel_time(line);
            let is_same = match (time, milliseconds) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (a, b) => a == b,
            };
            assert!(is_same, "{line}: {time:?}");
        }
    }

    #[test]
    fn graphs_are_listed_with_their_reasons() {
        let answer = json!({"graphs": [{"name": "encoder", "recordings": 1, "replays": 4, "fallbacks": [["a | b", 2]]}]});
        assert_eq!(
            graphs_of(&answer),
            "encoder 1 recorded, 4 replayed, 2 without: a / b"
        );
        assert_eq!(graphs_of(&json!({"graphs": null})), "");
    }

    #[test]
    fn devices_and_minutes_are_checked() {
        for words in [&["flex"][..], &[], &["cuda", "ten"], &["cuda", "1", "2"]] {
            assert!(run(Path::new("/nowhere"), words).is_err_and(|e| e == USAGE));
        }
    }
}
