//! A page of `docs/numbers` from raw records: a pure function of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::row::Row;
use super::target;

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

    use super::super::row::tests::record;
    use super::super::{COMPILED, OURS, THEIRS};
    use super::*;

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
}
