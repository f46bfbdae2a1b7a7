//! A page of `docs/numbers` from raw records: a pure function of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use super::{COMPILED, OURS, THEIRS, target};

/// Wall times of one side, and its memory.
#[derive(Debug, Clone, PartialEq)]
struct Side {
    least: f64,
    median: f64,
    /// Peak resident memory in bytes, or the GPU's.
    peak: f64,
    /// Largest fraction of the cores that other processes took meanwhile, in percent.
    others: f64,
    losses: BTreeMap<String, f64>,
}

/// A case on all sides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    case: String,
    ours: Side,
    theirs: Side,
    compiled: Option<Side>,
    /// Largest relative difference of a loss, and its name.
    worst: (f64, String),
    /// Up to which difference losses agree.
    tolerance: f64,
}

/// The wall times of an answer, in seconds.
pub(super) fn seconds(answer: &Value) -> Vec<f64> {
    let list = answer.get("seconds").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_f64)
        .collect()
}

impl Row {
    /// The row of the records of one case and run.
    pub(super) fn of(case: &str, records: &[Value]) -> Result<Self, String> {
        let side = |name: &str| Side::of(records.iter().filter(|record| record["side"] == name));
        let missing = |name: &str| format!("{case}: no times of {name}");
        let ours = side(OURS).ok_or_else(|| missing(OURS))?;
        let theirs = side(THEIRS).ok_or_else(|| missing(THEIRS))?;
        let worst = worst(&ours.losses, &theirs.losses)
            .map_err(|name| format!("{case}: only one side has the loss {name:?}"))?;
        let tolerance = records
            .iter()
            .find_map(|record| record["tolerance"].as_f64());
        Ok(Self {
            case: case.to_owned(),
            ours,
            theirs,
            compiled: side(COMPILED),
            worst,
            tolerance: tolerance.ok_or_else(|| format!("{case}: a record without `tolerance`"))?,
        })
    }

    /// Our time over PyTorch's, by the least of each.
    fn ratio(&self) -> f64 {
        self.ours.least / self.theirs.least
    }

    /// Our time over compiled PyTorch's.
    fn compiled_ratio(&self) -> Option<f64> {
        self.compiled
            .as_ref()
            .map(|side| self.ours.least / side.least)
    }

    /// Our time over that of PyTorch's faster side.
    fn best_ratio(&self) -> f64 {
        self.compiled_ratio()
            .map_or(self.ratio(), |ratio| ratio.max(self.ratio()))
    }

    fn agrees(&self) -> bool {
        // A NaN is never within.
        self.worst.0 <= self.tolerance
    }

    pub(super) fn agreed(&self) -> Result<(), String> {
        match self.agrees() {
            true => Ok(()),
            false => Err(format!(
                "loss {:?} differs by {:.1e}: {} here, {} there",
                self.worst.1,
                self.worst.0,
                self.ours.losses.get(&self.worst.1).unwrap_or(&f64::NAN),
                self.theirs.losses.get(&self.worst.1).unwrap_or(&f64::NAN),
            )),
        }
    }

    /// One line for the terminal.
    pub(super) fn summary(&self) -> String {
        let compiled = match (&self.compiled, self.compiled_ratio()) {
            (Some(side), Some(ratio)) => {
                format!(
                    ", compiled {:>8} ms, ratio {ratio:.2}",
                    milliseconds(side.least)
                )
            }
            _ => String::new(),
        };
        format!(
            "{:<18} {OURS} {:>8} ms, {THEIRS} {:>8} ms, ratio {:.2}{compiled}, largest loss difference {:.1e} ({})",
            self.case,
            milliseconds(self.ours.least),
            milliseconds(self.theirs.least),
            self.ratio(),
            self.worst.0,
            self.worst.1
        )
    }

    fn line(&self) -> String {
        let time = |side: &Side| {
            format!(
                "{} ({})",
                milliseconds(side.least),
                milliseconds(side.median)
            )
        };
        let mark = if self.agrees() { "" } else { "**" };
        let compiled = self.compiled.as_ref();
        let others = compiled.map_or(0.0, |side| side.others);
        format!(
            "| `{}` | {} | {} | {} | {:.2} | {} | {:.0} | {:.0} | {mark}{:.1e}{mark} | {:.0} |\n",
            self.case,
            time(&self.ours),
            time(&self.theirs),
            compiled.map_or("–".into(), time),
            self.ratio(),
            self.compiled_ratio()
                .map_or("–".into(), |ratio| format!("{ratio:.2}")),
            self.ours.peak / 1e6,
            self.theirs.peak / 1e6,
            self.worst.0,
            self.ours.others.max(self.theirs.others).max(others)
        )
    }
}

impl Side {
    fn of<'a>(records: impl Iterator<Item = &'a Value>) -> Option<Self> {
        let (mut times, mut peak, mut losses) = (vec![], 0.0_f64, BTreeMap::new());
        let mut others = 0.0_f64;
        for record in records {
            times.extend(seconds(record));
            let held = record["gpu_memory"].as_f64();
            peak = peak.max(held.or(record["peak_rss"].as_f64())?);
            others = others.max(100.0 * record["others"].as_f64().unwrap_or(0.0));
            losses = record["losses"]
                .as_object()?
                .iter()
                .map(|(name, value)| (name.clone(), value.as_f64().unwrap_or(f64::NAN)))
                .collect();
        }
        times.sort_by(f64::total_cmp);
        let middle = |at: usize| times.get(at).copied();
        let last = times.len().checked_sub(1)?;
        Some(Self {
            least: middle(0)?,
            median: (middle(last / 2)? + middle(times.len() / 2)?) / 2.0,
            peak,
            others,
            losses,
        })
    }
}

/// The largest relative difference; a name that one side lacks is an error.
fn worst(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> Result<(f64, String), String> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut worst = (0.0, String::new());
    for name in names {
        let (Some(x), Some(y)) = (a.get(name), b.get(name)) else {
            return Err(name.clone());
        };
        let difference = match x == y {
            true => 0.0,
            false => (x - y).abs() / x.abs().max(y.abs()),
        };
        if difference.is_nan() || worst.1.is_empty() || difference > worst.0 {
            worst = (difference, name.clone());
        }
        if difference.is_nan() {
            break;
        }
    }
    Ok(worst)
}

/// Three digits, or all before the point.
fn milliseconds(seconds: f64) -> String {
    let ms = seconds * 1e3;
    let digits = match ms {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{ms:.digits$}")
}

/// The page called `name` of the records in `raw`, one a line: of each case the last run that has it.
pub(super) fn page(raw: &str, cases: &[&str], name: &str) -> Result<String, String> {
    let mut records: Vec<Value> = vec![];
    for (number, line) in raw.lines().enumerate() {
        let record = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", number + 1))?;
        records.push(record);
    }
    let (mut rows, mut best) = (String::new(), vec![]);
    let mut runs: BTreeMap<String, (Value, Vec<&str>)> = BTreeMap::new();
    for case in cases {
        let of_case = |record: &&Value| record["case"] == *case;
        let stamps = records
            .iter()
            .filter(of_case)
            .filter_map(|record| record["run"].as_str());
        let Some(last) = stamps.max() else { continue };
        let of_run = records
            .iter()
            .filter(of_case)
            .filter(|record| record["run"] == last);
        let of_run: Vec<Value> = of_run.cloned().collect();
        // A case that failed half-way has no row.
        let Ok(row) = Row::of(case, &of_run) else {
            continue;
        };
        rows += &row.line();
        best.push(row.best_ratio());
        let versions = of_run.iter().fold(of_run[0].clone(), merge_versions);
        runs.entry(last.to_owned())
            .or_insert((versions, vec![]))
            .1
            .push(case);
    }
    let command = records
        .iter()
        .rev()
        .find_map(|record| record["command"].as_str());
    let mut page = format!(
        "{}\nTimes are milliseconds: the minimum of all repeats, the median in brackets.\n\
         A ratio is our minimum over PyTorch's, so below 1 vlp is faster.\n\
         PyTorch is measured twice: eager, as most users run it, and compiled (`channels_last` and `torch.compile`, warmed up), where that applies.\n\
         {}\n\
         All sides have the same weights and inputs; `loss diff.` is the largest relative difference between a loss of vlp and of eager PyTorch.\n\
         `others` is the largest fraction of the cores, in percent, that other processes used during a turn; rows with more than a few percent are not \
         comparable.\n\
         Against the faster of PyTorch's two modes, {} of {} rows are at 1.0 or below.\n\n\
         | case | vlp ms | PyTorch ms | compiled ms | vlp / PyTorch | vlp / compiled | vlp MB | PyTorch MB | loss diff. | others % |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n{rows}",
        target::preface(name, command.unwrap_or("cargo xtask peer")),
        target::memory_note(name),
        best.iter().filter(|ratio| **ratio <= 1.0).count(),
        best.len()
    );
    for (run, (record, cases)) in runs.iter().rev() {
        let text = |key: &str| record[key].as_str().unwrap_or("?").to_owned();
        let versions = record["versions"].as_object().into_iter().flatten();
        let versions: Vec<String> = versions
            .map(|(name, v)| format!("{name} {}", v.as_str().unwrap_or("?")))
            .collect();
        let _ = write!(
            page,
            "\n- {} ({}): {}; {}; `{}`\n",
            run.get(..10).unwrap_or(run),
            cases.join(", "),
            text("machine"),
            versions.join(", "),
            text("command")
        );
    }
    Ok(page)
}

/// Adds the versions of another record's side.
fn merge_versions(mut all: Value, other: &Value) -> Value {
    for (name, version) in other["versions"].as_object().into_iter().flatten() {
        all["versions"][name] = version.clone();
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn record(case: &str, side: &str, run: &str, seconds: &[f64], losses: Value) -> Value {
        let version = if side == OURS { "vlp" } else { "torch" };
        json!({"case": case, "side": side, "run": run, "seconds": seconds, "losses": losses, "peak_rss": 250_000_000,
            "threads": 2, "tolerance": 1e-3, "others": 0.12, "machine": "a CPU", "versions": {version: "1.0"}, "command": "cargo xtask peer jpeg"})
    }

    fn lines(records: &[Value]) -> String {
        records.iter().map(|r| format!("{r}\n")).collect()
    }

    #[test]
    fn the_last_run_of_each_case_is_shown() {
        let losses = || json!({"a": 1.0, "b": 0.0});
        let raw = lines(&[
            record("jpeg", OURS, "2026-01-01T00:00:00Z", &[9.0], losses()),
            record("jpeg", THEIRS, "2026-01-01T00:00:00Z", &[9.0], losses()),
            record(
                "jpeg",
                OURS,
                "2026-02-01T00:00:00Z",
                &[0.003, 0.002],
                json!({"a": 1.0001, "b": 0.0}),
            ),
            record("jpeg", THEIRS, "2026-02-01T00:00:00Z", &[0.004], losses()),
            record(
                "jpeg",
                OURS,
                "2026-02-01T00:00:00Z",
                &[0.006],
                json!({"a": 1.0001, "b": 0.0}),
            ),
            record(
                "start",
                OURS,
                "2026-01-01T00:00:00Z",
                &[1.5],
                json!({"a": 2.0}),
            ),
            record(
                "start",
                THEIRS,
                "2026-01-01T00:00:00Z",
                &[3.0],
                json!({"a": 1.0}),
            ),
            record("start", COMPILED, "2026-01-01T00:00:00Z", &[1.0], losses()),
            record("e2e-384", OURS, "2026-03-01T00:00:00Z", &[1.0], losses()),
        ]);
        let page = page(&raw, &["jpeg", "e2e-384", "start"], "avx2").unwrap();
        assert!(
            page.starts_with("# Against PyTorch: AVX2 and FMA, f32\n"),
            "{page}"
        );
        assert!(page.contains("1 of 2 rows are at 1.0 or below"), "{page}");
        let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
        assert_eq!(
            rows,
            [
                "| `jpeg` | 2.00 (3.00) | 4.00 (4.00) | – | 0.50 | – | 250 | 250 | 1.0e-4 | 12 |",
                "| `start` | 1500 (1500) | 3000 (3000) | 1000 (1000) | 0.50 | 1.50 | 250 | 250 | **5.0e-1** | 12 |"
            ]
        );
        let runs: Vec<&str> = page.lines().filter(|l| l.starts_with("- ")).collect();
        assert_eq!(
            runs,
            [
                "- 2026-02-01 (jpeg): a CPU; torch 1.0, vlp 1.0; `cargo xtask peer jpeg`",
                "- 2026-01-01 (start): a CPU; torch 1.0, vlp 1.0; `cargo xtask peer jpeg`"
            ]
        );
        assert!(
            super::page("{", &[], "avx2")
                .unwrap_err()
                .starts_with("line 1: ")
        );
    }

    #[test]
    fn losses_must_agree_and_be_the_same_ones() {
        let row = |ours, theirs| {
            let records = [
                record("x", OURS, "r", &[1.0], ours),
                record("x", THEIRS, "r", &[1.0], theirs),
            ];
            Row::of("x", &records)
        };
        assert!(
            row(json!({"a": 100.0}), json!({"a": 100.09}))
                .unwrap()
                .agreed()
                .is_ok()
        );
        let far = row(json!({"a": 1.0, "b": -2.0}), json!({"a": 1.0, "b": 2.0})).unwrap();
        assert_eq!(
            far.agreed().unwrap_err(),
            "loss \"b\" differs by 2.0e0: -2 here, 2 there"
        );
        let nan = row(json!({"a": null, "b": 2.0}), json!({"a": 1.0, "b": 2.0})).unwrap();
        assert!(nan.agreed().is_err());
        let both = row(json!({"a": null}), json!({"a": null})).unwrap();
        assert!(both.agreed().is_err());
        let other = row(json!({"a": 1.0}), json!({"b": 1.0})).unwrap_err();
        assert_eq!(other, "x: only one side has the loss \"a\"");
    }
}
