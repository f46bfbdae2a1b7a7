//! The run log after kills and resumes.

use std::fs;

use vlp_train::RunLog;
use vlp_train::log::read_records;

fn values(step: u64) -> Vec<(String, f32)> {
    vec![
        ("train/loss".into(), 0.1 * step as f32),
        ("train/lr".into(), 1.0 / 3.0),
    ]
}

#[test]
fn resuming_removes_later_records_and_keeps_the_others_verbatim() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let write = |from: u64, to: u64| {
        let mut log = RunLog::open(folder.path(), from).unwrap();
        for step in from + 1..=to {
            log.write(step, &values(step)).unwrap();
        }
    };
    write(0, 9);
    let uninterrupted = fs::read(&path).unwrap();
    for resumed in [7, 3, 0] {
        write(resumed, 9);
        assert!(fs::read(&path).unwrap() == uninterrupted, "from {resumed}");
    }
    RunLog::open(folder.path(), 4).unwrap();
    let steps: Vec<u64> = read_records(&path)
        .unwrap()
        .iter()
        .map(|(s, _)| *s)
        .collect();
    assert_eq!(steps, [1, 2, 3, 4]);
}

#[test]
fn an_incomplete_last_line_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = RunLog::open(folder.path(), 0).unwrap();
    log.write(1, &values(1)).unwrap();
    let first = fs::read(&path).unwrap();
    log.write(2, &values(2)).unwrap();
    let both = fs::read(&path).unwrap();
    for len in first.len()..both.len() {
        fs::write(&path, &both[..len]).unwrap();
        // A last line that lacks only the line feed is a complete record.
        let complete = if len + 1 == both.len() { 2 } else { 1 };
        assert_eq!(read_records(&path).unwrap().len(), complete, "{len}");
        let mut log = RunLog::open(folder.path(), 1).unwrap();
        log.write(2, &values(2)).unwrap();
        assert!(fs::read(&path).unwrap() == both, "{len}");
    }
}

#[test]
fn values_that_are_not_finite_are_null() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = RunLog::open(folder.path(), 0).unwrap();
    log.write(1, &[("a".into(), f32::NAN), ("b".into(), 2.0)])
        .unwrap();
    let (step, record) = read_records(&folder.path().join("metrics.jsonl"))
        .unwrap()
        .remove(0);
    assert_eq!((step, record["b"].as_f64()), (1, Some(2.0)));
    assert!(record["a"].is_null());
}
