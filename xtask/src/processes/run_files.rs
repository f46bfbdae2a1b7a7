//! Files of two runs of the same configuration that must be equal to the byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The files of a run that do not depend on when and how it was computed, by their path in the folder.
type Files = BTreeMap<String, Vec<u8>>;

/// Fails if a checkpoint, the metrics or the results of `run` are not those of `expected`. Returns the number of files.
pub(crate) fn compare(expected: &Path, run: &Path) -> Result<usize, String> {
    let (expected_files, files) = (read(expected)?, read(run)?);
    if let Some(surplus) = files
        .keys()
        .find(|name| !expected_files.contains_key(*name))
    {
        return Err(format!("{}: {surplus} is one too many", run.display()));
    }
    compare_files(&expected_files, &files).map_err(|why| format!("{}: {why}", run.display()))
}

/// As [`compare`], for a run that has saved further steps because it was stopped.
pub(crate) fn compare_stopped(expected: &Path, run: &Path) -> Result<usize, String> {
    compare_files(&read(expected)?, &read(run)?).map_err(|why| format!("{}: {why}", run.display()))
}

/// Fails if the report of `run` is not that of `expected`, times excepted.
pub(crate) fn compare_reports(expected: &Path, run: &Path) -> Result<(), String> {
    let read = |run: &Path| {
        let path = run.join("report.html");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let text = without(&text, "<dt>wall time</dt><dd>", "</dd>");
        let text = without(&text, "<li>waited for data ", "</li>");
        // A checkpoint that was being removed when the run was killed.
        Ok::<_, String>(without(&text, "<li>checkpoint skipped: ", "</li>"))
    };
    match read(expected)? == read(run)? {
        true => Ok(()),
        false => Err(format!("{}: report.html differs", run.display())),
    }
}

/// A text without its parts from `start` to `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let mut parts = text.split(start);
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        rest += part.split_once(end).map_or(part, |(_, rest)| rest);
    }
    rest
}

fn compare_files(expected: &Files, files: &Files) -> Result<usize, String> {
    for (name, bytes) in expected {
        match files.get(name) {
            None => return Err(format!("{name} is missing")),
            Some(other) if other != bytes => return Err(format!("{name} differs")),
            Some(_) => {}
        }
    }
    Ok(expected.len())
}

fn read(run: &Path) -> Result<Files, String> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    let mut files = Files::new();
    for name in checkpoints(run)? {
        let folder = run.join("checkpoints").join(&name);
        for entry in fs::read_dir(&folder).map_err(|e| failed(&folder, e))? {
            let path = entry.map_err(|e| failed(&folder, e))?.path();
            let bytes = fs::read(&path).map_err(|e| failed(&path, e))?;
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(format!("checkpoints/{name}/{file}"), bytes);
        }
    }
    if files.is_empty() {
        return Err(format!("{}: no checkpoint", run.display()));
    }
    let path = run.join("metrics.jsonl");
    let metrics = fs::read(&path).map_err(|e| failed(&path, e))?;
    files.insert("metrics.jsonl".into(), metrics);
    let path = run.join("results.json");
    let results = fs::read(&path).map_err(|e| failed(&path, e))?;
    let mut results: Value = serde_json::from_slice(&results).map_err(|e| e.to_string())?;
    let seconds = results
        .as_object_mut()
        .and_then(|map| map.remove("seconds"));
    seconds.ok_or_else(|| format!("{}: no seconds", path.display()))?;
    files.insert("results.json".into(), results.to_string().into_bytes());
    Ok(files)
}

/// Names of the checkpoints of a run, the oldest first.
pub(crate) fn checkpoints(run: &Path) -> Result<Vec<String>, String> {
    let folder = run.join("checkpoints");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("step-"))
        .collect();
    names.sort();
    Ok(names)
}

/// Number of lines of the metrics: steps that have ended.
pub(crate) fn logged_lines(run: &Path) -> usize {
    let text = fs::read(run.join("metrics.jsonl")).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write(run: &Path, model: &[u8], seconds: f64, score: f64) {
        let folder = run.join("checkpoints/step-00000002");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model.bpk"), model).unwrap();
        fs::write(run.join("metrics.jsonl"), "{\"step\":1}\n{\"step\":2}\n").unwrap();
        let results = serde_json::json!({"seconds": seconds, "score": score});
        fs::write(run.join("results.json"), results.to_string()).unwrap();
    }

    #[test]
    fn a_changed_byte_is_named_and_the_seconds_are_not_compared() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| folder.path().join(name));
        write(&a, b"12", 1.0, 0.5);
        write(&b, b"12", 2.0, 0.5);
        write(&c, b"13", 1.0, 0.5);
        write(&d, b"12", 1.0, 0.6);
        assert_eq!(compare(&a, &b), Ok(3));
        assert!(compare(&a, &c).unwrap_err().ends_with("model.bpk differs"));
        assert!(
            compare(&a, &d)
                .unwrap_err()
                .ends_with("results.json differs")
        );
        assert_eq!(logged_lines(&a), 2);
    }

    #[test]
    fn reports_are_compared_without_times() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, seconds: usize, loss: usize| {
            let run = folder.path().join(name);
            fs::create_dir(&run).unwrap();
            let text = format!("<dt>wall time</dt><dd>{seconds} s</dd><p>{loss}</p>");
            fs::write(run.join("report.html"), text).unwrap();
            run
        };
        let [a, b, c] = [write("a", 1, 5), write("b", 2, 5), write("c", 1, 6)];
        assert_eq!(compare_reports(&a, &b), Ok(()));
        assert!(
            compare_reports(&a, &c)
                .unwrap_err()
                .ends_with("report.html differs")
        );
    }

    #[test]
    fn missing_and_surplus_checkpoints_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        write(&a, b"12", 1.0, 0.5);
        write(&b, b"12", 1.0, 0.5);
        let third = "checkpoints/step-00000003";
        fs::create_dir(b.join(third)).unwrap();
        fs::write(b.join(third).join("model.bpk"), "").unwrap();
        assert!(compare(&a, &b).unwrap_err().ends_with("is one too many"));
        assert_eq!(compare_stopped(&a, &b), Ok(3));
        assert!(compare_stopped(&b, &a).unwrap_err().ends_with("is missing"));
        assert_eq!(checkpoints(&b).unwrap().len(), 2);
    }
}
