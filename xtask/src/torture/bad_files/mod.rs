//! Files that are cut, changed and replaced, for each reader: a message each, within limits of memory and time.

mod bases;
mod changes;
mod json;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::lab::{Lab, copy_folder};
use crate::processes::scenario::Outcome;
use bases::Base;
use changes::Change;

/// Memory that a command may have resident, in KiB.
const MEMORY: u64 = 512 << 10;
/// Data that it may map, in MiB: twice that.
const MAPPED: usize = 1024;
const TIME: Duration = Duration::from_secs(5);

/// The message of each case. `CASE` is its folder.
const MESSAGES: &str = "src/torture/bad_files/messages.txt";

/// A file that is bad in one way.
struct Case<'a> {
    base: &'a Base,
    name: String,
    change: &'a Change,
}

/// What a command made of a bad file.
struct Answer {
    /// Code and message.
    line: String,
    is_refused: bool,
    time: Duration,
    /// Peak of the resident memory in KiB.
    memory: u64,
}

pub(super) fn run(lab: &Lab) -> Outcome<String> {
    let bases = bases::all(lab)?;
    let changes: Vec<(&Base, Vec<(String, Change)>)> = bases
        .iter()
        .map(|base| Ok((base, base.changes()?)))
        .collect::<Result<_, String>>()?;
    lab.each(&bases, |index, base| base.check(lab, index))?;
    let mut cases = vec![];
    for (base, changes) in &changes {
        cases.extend(changes.iter().map(|(name, change)| Case {
            base,
            name: format!("{}: {name}", base.name),
            change,
        }));
    }
    let total = cases.len();
    let all: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    if all.len() < total {
        return Err(format!("{} names of {total} cases", all.len()).into());
    }
    let stride = lab.count(9, 1);
    let tried: Vec<Case> = lab.some(cases, stride);
    let answers = lab.each(&tried, |index, case| {
        case.check(lab, index)
            .map_err(|why| format!("{}: {why}", case.name))
    })?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(MESSAGES);
    let named: BTreeMap<&str, &str> = tried
        .iter()
        .zip(&answers)
        .map(|(case, answer)| (case.name.as_str(), answer.line.as_str()))
        .collect();
    if lab.options.write_messages {
        let text: String = named
            .iter()
            .map(|(name, line)| format!("{name} -> {line}\n"))
            .collect();
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    compare(&path, &named, &all)?;
    let refused = answers.iter().filter(|answer| answer.is_refused).count();
    let slowest = tried
        .iter()
        .zip(&answers)
        .max_by_key(|(_, answer)| answer.time);
    let (slowest, seconds) = slowest.map_or(("", 0.0), |(case, answer)| {
        (case.name.as_str(), answer.time.as_secs_f64())
    });
    println!("  the slowest: {slowest}, {seconds:.1} s");
    let largest = answers
        .iter()
        .map(|answer| answer.memory)
        .max()
        .unwrap_or_default();
    Ok(format!(
        "{} changed files of {} kinds (of {total}): {refused} refused with code 1 and the message in messages.txt, {} harmless; at most {:.1} s and {} MiB",
        tried.len(),
        bases.len(),
        tried.len() - refused,
        seconds,
        largest >> 10
    ))
}

/// Fails if a message is not the expected one, or if one is expected of none of `all` cases.
fn compare(
    path: &Path,
    answers: &BTreeMap<&str, &str>,
    all: &BTreeSet<String>,
) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let expected: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        .collect();
    let differences = answers
        .iter()
        .filter(|(name, line)| expected.get(*name) != Some(line));
    let differences = differences.map(|(name, line)| {
        format!(
            "{name}\n    expected {}\n    not      {line}",
            expected.get(name).unwrap_or(&"nothing")
        )
    });
    let stale = expected.keys().filter(|name| !all.contains(**name));
    let stale = stale.map(|name| format!("{name}\n    there is no such case"));
    let differences: Vec<String> = differences.chain(stale).collect();
    match differences.len() {
        0 => Ok(()),
        count => Err(format!(
            "{count} messages differ from those in {}; --long --write-messages updates it:\n  {}",
            path.display(),
            differences[..count.min(10)].join("\n  ")
        )),
    }
}

impl Case<'_> {
    fn check(&self, lab: &Lab, index: usize) -> Result<Answer, String> {
        let case = lab.fresh(&format!("bad-files/{index}"))?;
        copy_folder(&self.base.folder, &case)?;
        let file = case.join(self.base.file);
        self.change.apply(&file)?;
        let peak = case.with_extension("peak");
        let start = Instant::now();
        let ended = lab
            .vlp(&self.base.arguments(&case))
            .memory(&peak, MAPPED)
            .run()?;
        let time = start.elapsed();
        let is_refused = ended.code == Some(1);
        let lines = message(&ended.output, &case);
        if !is_refused && ended.code != Some(0) {
            return Err(format!("code {:?}: {}", ended.code, ended.output));
        }
        let failed = |why: String| format!("{}: {why}", peak.display());
        let text = fs::read_to_string(&peak).map_err(|e| failed(e.to_string()))?;
        let memory = text.trim().parse();
        let memory: u64 = memory.map_err(|e| failed(format!("{text:?} is no number: {e}")))?;
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // Where two files contradict each other, the message may name the other one, or the sample that does not fit.
        let is_named = |name: &String| lines.contains(name.as_str());
        let names_sample = ended.output.contains(": sample ");
        if is_refused
            && !names_sample
            && !is_named(&name)
            && !self.base.names()?.iter().any(is_named)
        {
            return Err(format!("{name} is not named in {:?}", ended.output));
        }
        if time > TIME || memory > MEMORY {
            return Err(format!("{:.1} s, {} MiB", time.as_secs_f64(), memory >> 10));
        }
        fs::remove_dir_all(&case).map_err(|e| e.to_string())?;
        Ok(Answer {
            line: match is_refused {
                true => format!("1 {lines}"),
                false => format!("0 {lines}").trim_end().to_owned(),
            },
            is_refused,
            time,
            memory,
        })
    }
}

/// Lines of a message.
const LINES: usize = 2;
/// Characters of a line.
const CHARACTERS: usize = 300;

/// The first lines of an output that name the case, on one line.
fn message(output: &str, case: &Path) -> String {
    let runs = case.ancestors().nth(2).unwrap_or(case);
    let bases = runs.join(bases::FOLDER).display().to_string();
    let case = case.display().to_string();
    let lines = output.lines().filter(|line| line.contains(&case));
    let lines = lines.map(|line| line.trim().replace(&case, "CASE").replace(&bases, "BASES"));
    let lines: Vec<String> = lines
        .map(|line| line.chars().take(CHARACTERS).collect())
        .collect();
    lines[..lines.len().min(LINES)].join(" | ")
}

impl Change {
    /// Puts the bad file in the place of the good one.
    fn apply(&self, file: &Path) -> Result<(), String> {
        let failed = |e: std::io::Error| format!("{}: {e}", file.display());
        fs::remove_file(file).map_err(failed)?;
        match self {
            Self::Bytes(bytes) => fs::write(file, bytes),
            Self::Missing => Ok(()),
            Self::Folder => fs::create_dir(file),
            Self::Link(to) => symlink(PathBuf::from(to), file),
            Self::LinkToItself => symlink(file, file),
        }
        .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn changed_new_and_stale_messages_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("messages.txt");
        fs::write(&path, "a: cut -> 1 short\nb: cut -> 1 long\n").unwrap();
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let both = all(&["a: cut", "b: cut"]);
        let answers = |line| BTreeMap::from([("a: cut", line)]);
        // A case that was not tried keeps its line.
        assert_eq!(compare(&path, &answers("1 short"), &both), Ok(()));
        let error = compare(&path, &answers("1 other"), &both).unwrap_err();
        assert!(error.contains("expected 1 short"), "{error}");
        let error = compare(&path, &answers("1 short"), &all(&["a: cut"])).unwrap_err();
        assert!(
            error.starts_with("1 messages differ") && error.contains("b: cut\n    there is no"),
            "{error}"
        );
        let answers = BTreeMap::from([("c: cut", "1 new")]);
        let error = compare(&path, &answers, &all(&["a: cut", "b: cut", "c: cut"])).unwrap_err();
        assert!(error.contains("expected nothing"), "{error}");
    }
}
