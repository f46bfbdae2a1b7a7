//! A page of `docs/numbers`: a pure function of raw records and of the old page.

use serde_json::Value;

use super::old_page::{Note, Notes, OldPage};
use super::row::Row;
use super::target;

/// The page called `name` of the records in `raw`, one a line: of each case the last run that has it, or what is in the old page
/// if that is newer.
pub(super) fn page(raw: &str, cases: &[&str], name: &str, old: &OldPage) -> Result<String, String> {
    let mut records: Vec<Value> = vec![];
    for (number, line) in raw.lines().enumerate() {
        let record = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", number + 1))?;
        records.push(record);
    }
    let (mut rows, mut best) = (String::new(), vec![]);
    let mut notes = Notes::default();
    for case in cases {
        let measured = measured(case, &records);
        // Of the same day, it is most likely the same run.
        let is_newer = |note: &Note| {
            let measured = measured.as_ref();
            measured.is_none_or(|(_, ours)| note.date.as_str() > ours.date.get(..10).unwrap_or(""))
        };
        match old.row(case).filter(|(_, note)| is_newer(note)) {
            Some((line, note)) => {
                rows += &format!("{line}\n");
                best.extend(shown_ratio(line));
                notes.add(note, case);
            }
            None => {
                let Some((row, note)) = measured else {
                    continue;
                };
                rows += &row.line();
                best.push(row.best_ratio());
                notes.add(note, case);
            }
        }
    }
    let command = records
        .iter()
        .rev()
        .find_map(|record| record["command"].as_str());
    let page = format!(
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
    Ok(page + &notes.text())
}

/// The row of the last run that has a case, and with what it was measured.
fn measured(case: &str, records: &[Value]) -> Option<(Row, Note)> {
    let of_case = records.iter().filter(|record| record["case"] == case);
    let stamps = of_case.clone().filter_map(|record| record["run"].as_str());
    let last = stamps.max()?;
    let of_run = of_case.filter(|record| record["run"] == last);
    let of_run: Vec<Value> = of_run.cloned().collect();
    // A case that failed half-way has no row.
    let row = Row::of(case, &of_run).ok()?;
    let record = of_run.iter().fold(of_run[0].clone(), merge_versions);
    let text = |key: &str| record[key].as_str().unwrap_or("?").to_owned();
    let versions = record["versions"].as_object().into_iter().flatten();
    let versions: Vec<String> = versions
        .map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?")))
        .collect();
    let (machine, versions, command) = (text("machine"), versions.join(", "), text("command"));
    let note = Note {
        date: last.to_owned(),
        machine: format!("{machine}; {versions}; `{command}`"),
    };
    Some((row, note))
}

/// The ratio to PyTorch's faster side in a line of the table.
fn shown_ratio(line: &str) -> Option<f64> {
    let ratios = line.split(" | ").skip(4).take(2);
    ratios.filter_map(|cell| cell.parse().ok()).reduce(f64::max)
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
        let none = OldPage::default();
        let page = page(&raw, &["jpeg", "e2e-384", "start"], "avx2", &none).unwrap();
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
            super::page("{", &[], "avx2", &none)
                .unwrap_err()
                .starts_with("line 1: ")
        );
    }

    #[test]
    fn what_this_machine_has_not_measured_or_before_another_one_is_kept() {
        let run = |case, date: &str, ours| {
            let record = |side, seconds| record(case, side, date, &[seconds], json!({"a": 1.0}));
            lines(&[record(OURS, ours), record(THEIRS, 0.004)])
        };
        let page = |raw: &str, old: &str| {
            let cases = ["jpeg", "start", "tokenize"];
            page(raw, &cases, "avx2", &OldPage::from(old)).unwrap()
        };
        let old = page(
            &[
                run("jpeg", "2026-02-01T00:00:00Z", 0.002),
                run("start", "2026-02-01T00:00:00Z", 0.008),
                run("tokenize", "2026-02-01T00:00:00Z", 0.002),
            ]
            .concat()
            .replace("a CPU", "another CPU"),
            "",
        );
        let raw = [
            run("jpeg", "2026-03-01T00:00:00Z", 0.003),
            run("start", "2026-01-01T00:00:00Z", 0.001),
        ];
        let text = page(&raw.concat(), &old);
        for part in [
            "2 of 3 rows are at 1.0 or below",
            "| `jpeg` | 3.00 (3.00) |",
            "| `start` | 8.00 (8.00) |",
            "| `tokenize` | 2.00 (2.00) |",
            "- 2026-03-01 (jpeg): a CPU; ",
            "- 2026-02-01 (start, tokenize): another CPU; ",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        assert_eq!(page(&raw.concat(), &text), text, "written again");
    }

    #[test]
    fn the_pages_of_the_repository_lose_nothing_on_a_machine_without_records() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let cases = super::super::CASES.map(|(case, _)| case);
        for name in ["avx512", "avx2", "avx512-bf16"] {
            let path = target::page_file(root.unwrap(), name);
            let old = std::fs::read_to_string(&path).unwrap();
            let new = page("", &cases, name, &OldPage::from(old.as_str())).unwrap();
            let numbers = |page: &str| -> Vec<String> {
                let is_number =
                    |line: &&str| line.starts_with("| `") || line.contains(" rows are ");
                page.lines().filter(is_number).map(str::to_owned).collect()
            };
            assert_eq!(numbers(&new), numbers(&old), "{name}");
        }
    }
}
