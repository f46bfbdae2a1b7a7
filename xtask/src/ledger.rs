//! Kernels, uploads and reads of a case on a GPU, counted on wgpu and compared with the budget in `benches/ledger.toml`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use toml::{Table, Value as Entry};

use crate::peer::worker::{Build, Worker};

const BUDGET: &str = "benches/ledger.toml";
const PREFACE: &str = "# What one run of a case may make the GPU do at most: kernels, blocks of fused operations in all and by part, tensors copied to
# the device (uploads) and read from it (reads), without autotune, which decides how many kernels a block has. Kernels may be 5 %
# more; blocks 2 %, those of a part 5 % and one. Fewer than half of the kernels or blocks are an error too: most likely they are
# not counted.
# Written by `cargo xtask ledger --write`, and checked by `cargo xtask ledger`.

";
/// Tolerance above the budget: counts are the same in every run of a machine, but were made on only one.
fn slack(name: &str, limit: i64) -> i64 {
    match name {
        "kernels" => limit * 5 / 100,
        "blocks" => limit * 2 / 100,
        "reads" | "uploads" => 0,
        _ => limit * 5 / 100 + 1,
    }
}
/// Forward, backward and update of a step; the columns of the table.
const PASSES: [&str; 3] = ["forward", "backward", "update"];

/// Counts the named cases, or those of the budget, prints the counts by part, and fails if one is above its budget or far below
/// it. `write` replaces the budget by the counts.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let (write, names) = match words {
        ["--write", names @ ..] => (true, names),
        names => (false, names),
    };
    let path = root.join(BUDGET);
    let text = fs::read_to_string(&path).map_err(|e| format!("{BUDGET}: {e}"))?;
    let mut budget: Table = text.parse().map_err(|e| format!("{BUDGET}: {e}"))?;
    let all: Vec<String> = budget.keys().cloned().collect();
    let cases = match names {
        [] => all,
        names => names.iter().map(|&name| name.to_owned()).collect(),
    };
    let build = Build {
        features: Some("wgpu-untuned"),
        target: Some("target/wgpu"),
        profile: Some("gpu-tests"),
    };
    let worker = build.run(root)?;
    let mut outside = vec![];
    for case in cases {
        let counts = Counts::of(root, &worker, &case)?;
        println!("{}", counts.table(&case));
        match write {
            true => drop(budget.insert(case, Entry::Table(counts.entry()))),
            false => match budget.get(&case) {
                Some(limits) => outside.extend(counts.outside(&case, limits)),
                None => outside.push(format!("{case}: has no budget; add one with --write")),
            },
        }
    }
    if write {
        let text = toml::to_string(&budget).map_err(|e| format!("{BUDGET}: {e}"))?;
        let text = format!("{PREFACE}{text}");
        return fs::write(&path, text).map_err(|e| format!("{BUDGET}: {e}"));
    }
    match outside.is_empty() {
        true => Ok(()),
        false => Err(outside.join("\n")),
    }
}

/// Counts of one run of a case.
struct Counts {
    /// Kernels of each part, of the forward and backward pass alone and of the whole run. The passes of a run without
    /// gradients are 0.
    parts: Vec<(String, [u64; 3])>,
    /// Blocks of fused operations of each part in the whole run.
    blocks: Vec<(String, u64)>,
    /// Kernels by name.
    kernels: Vec<(String, u64)>,
    uploads: u64,
    reads: u64,
}

impl Counts {
    fn of(root: &Path, worker: &Path, case: &str) -> Result<Self, String> {
        let mut command = Command::new(worker);
        let mut worker = Worker::start("vlp", command.current_dir(root))?;
        let files = worker.prepare(root, case)?;
        let answer = worker.ask(
            &json!({"case": case, "weights": files["weights"], "inputs": files["inputs"],
            "repeats": 0, "device": "wgpu", "count": true}),
        )?;
        let counts = Self::read(&answer);
        let counts = counts.ok_or_else(|| format!("{case}: no counts in {answer}"))?;
        match counts.total_kernels() {
            0 => Err(format!("{case}: no kernel was counted")),
            _ => Ok(counts),
        }
    }

    fn read(answer: &Value) -> Option<Self> {
        let part = |(name, counts): (&String, &Value)| {
            let counts: Option<Vec<u64>> = counts.as_array()?.iter().map(Value::as_u64).collect();
            Some((name.clone(), counts?.try_into().ok()?))
        };
        let count = |(name, count): (&String, &Value)| Some((name.clone(), count.as_u64()?));
        let counts = |name: &str| -> Option<Vec<(String, u64)>> {
            answer[name].as_object()?.iter().map(count).collect()
        };
        let parts = answer["parts"].as_object()?.iter().map(part);
        Some(Self {
            parts: parts.collect::<Option<_>>()?,
            blocks: counts("blocks")?,
            kernels: counts("kernels")?,
            uploads: answer["uploads"].as_u64()?,
            reads: answer["reads"].as_u64()?,
        })
    }

    fn total_kernels(&self) -> u64 {
        self.parts.iter().map(|(_, [_, _, whole])| whole).sum()
    }

    fn total_blocks(&self) -> u64 {
        self.blocks.iter().map(|(_, count)| count).sum()
    }

    /// Markdown tables: kernels and blocks by part and pass, and kernels by name.
    fn table(&self, case: &str) -> String {
        let mut lines = vec![format!(
            "## {case}: {} kernels in {} blocks, {} uploads, {} reads\n",
            self.total_kernels(),
            self.total_blocks(),
            self.uploads,
            self.reads
        )];
        let has_passes = self.parts.iter().any(|(_, [_, backward, _])| *backward > 0);
        let columns = match has_passes {
            true => format!(" | {}", PASSES.join(" | ")),
            false => String::new(),
        };
        lines.push(format!("| part{columns} | all | blocks |"));
        lines.push(format!(
            "|---|{}",
            "---:|".repeat(if has_passes { 5 } else { 2 })
        ));
        let blocks: HashMap<&String, u64> = self.blocks.iter().map(|(k, v)| (k, *v)).collect();
        for (part, [forward, backward, whole]) in &self.parts {
            // What is fused differs a little where the passes are run apart.
            let update = whole.saturating_sub(forward + backward);
            let passes = match has_passes {
                true => format!(" | {forward} | {backward} | {update}"),
                false => String::new(),
            };
            let blocks = blocks.get(part).unwrap_or(&0);
            lines.push(format!("| {part}{passes} | {whole} | {blocks} |"));
        }
        lines.push("\n| kernel | count |\n|---|---:|".into());
        let mut kernels: Vec<_> = self.kernels.iter().collect();
        kernels.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        lines.extend(
            kernels
                .iter()
                .map(|(name, count)| format!("| {name} | {count} |")),
        );
        lines.push(String::new());
        lines.join("\n")
    }

    fn entry(&self) -> Table {
        let number = |count: u64| Entry::Integer(i64::try_from(count).unwrap_or(i64::MAX));
        let blocks = self.blocks.iter();
        let parts: Table = blocks
            .map(|(part, count)| (part.clone(), number(*count)))
            .collect();
        Table::from_iter([
            ("kernels".into(), number(self.total_kernels())),
            ("blocks".into(), number(self.total_blocks())),
            ("uploads".into(), number(self.uploads)),
            ("reads".into(), number(self.reads)),
            ("parts".into(), Entry::Table(parts)),
        ])
    }

    /// A line for each count above its limit, and for kernels or blocks in all that are below half of it; a count without a limit
    /// must be zero.
    fn outside(&self, case: &str, limits: &Entry) -> Vec<String> {
        let line = |name: &str, count: &Entry, limit: Option<&Entry>| {
            let (count, limit) = (
                count.as_integer()?,
                limit.and_then(Entry::as_integer).unwrap_or(0),
            );
            if count > limit + slack(name, limit) {
                return Some(format!("{case}: {name}: {count}, the budget is {limit}"));
            }
            let is_far_below = matches!(name, "kernels" | "blocks") && 2 * count < limit;
            is_far_below.then(|| {
                format!(
                    "{case}: {name}: {count}, the budget is {limit}; if the case still does its work, `cargo xtask ledger --write {case}` lowers it"
                )
            })
        };
        let entry = self.entry();
        let mut lines = vec![];
        for (name, count) in &entry {
            match count {
                Entry::Table(parts) => lines.extend(parts.iter().filter_map(|(part, count)| {
                    let limit = limits.get(name).and_then(|parts| parts.get(part));
                    line(&format!("blocks of {part}"), count, limit)
                })),
                count => lines.extend(line(name, count, limits.get(name))),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn counts() -> Counts {
        let parts = json!({"stem": [2, 3, 60], "inputs": [1, 0, 1]});
        let answer = json!({"parts": parts, "blocks": {"stem": 104, "inputs": 2}, "kernels": {"conv": 30, "relu": 31},
            "uploads": 2, "reads": 1});
        Counts::read(&answer).unwrap()
    }

    #[test]
    fn counts_hold_their_own_budget() {
        let counts = counts();
        assert_eq!((counts.total_kernels(), counts.total_blocks()), (61, 106));
        let entry = Entry::Table(counts.entry());
        assert_eq!(counts.outside("case", &entry), Vec::<String>::new());
    }

    #[test]
    fn what_is_outside_the_budget_is_named() {
        let outside = |limits: &str| {
            let limits = Entry::Table(limits.parse().unwrap());
            let mut outside = counts().outside("case", &limits);
            outside.sort();
            outside
        };
        // With the slack 59 kernels, 105 blocks, and 103 of the stem.
        let limits = "kernels = 57\nblocks = 103\nuploads = 1\nreads = 1\nparts = { stem = 98 }";
        let expected = [
            "case: blocks of inputs: 2, the budget is 0",
            "case: blocks of stem: 104, the budget is 98",
            "case: blocks: 106, the budget is 103",
            "case: kernels: 61, the budget is 57",
            "case: uploads: 2, the budget is 1",
        ];
        assert_eq!(outside(limits), expected);
        let limits =
            "kernels = 59\nblocks = 104\nuploads = 2\nreads = 1\nparts = { stem = 99, inputs = 1 }";
        assert_eq!(outside(limits), Vec::<String>::new());
        // 61 kernels are half of 122; what is uploaded and read may vanish.
        let limits = |kernels: i64| {
            format!(
                "kernels = {kernels}\nblocks = 106\nuploads = 9\nreads = 9\nparts = {{ stem = 999, inputs = 2 }}"
            )
        };
        assert_eq!(outside(&limits(122)), Vec::<String>::new());
        let lines = outside(&limits(123));
        let start = "case: kernels: 61, the budget is 123; ";
        assert!(lines.len() == 1 && lines[0].starts_with(start), "{lines:?}");
    }

    #[test]
    fn a_step_is_shown_by_pass() {
        let table = counts().table("tiny-step");
        assert!(
            table.contains("| stem | 2 | 3 | 55 | 60 | 104 |"),
            "{table}"
        );
    }
}
