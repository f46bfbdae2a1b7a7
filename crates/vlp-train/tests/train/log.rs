//! The run log over kills and resumes.

use std::fs;

use vlp_train::RunLog;
use vlp_train::log::read_all;

fn values(step: u64) -> Vec<(String, f32)> {
    vec![
        ("loss/total".into(), 0.1 * step as f32),
        ("rate".into(), 1.0 / 3.0),
    ]
}

#[test]
fn records_of_later_steps_go_and_the_others_stay_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let write = |from: u64, to: u64| {
        let mut log = RunLog::open(folder.path(), from).unwrap();
        for step in from + 1..=to {
            log.write(step, &values(step)).unwrap();
        }
    };
    write(0, 9);
    let unbroken = fs::read(&path).unwrap();
    for resumed in [7, 3, 0] {
        write(resumed, 9);
        assert!(fs::read(&path).unwrap() == unbroken, "from {resumed}");
    }
    RunLog::open(folder.path(), 4).unwrap();
    let steps: Vec<u64> = read_all(&path).unwrap().iter().map(|(s, _)| *s).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
}

#[test]
fn a_torn_last_line_is_left_out_wherever_it_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = RunLog::open(folder.path(), 0).unwrap();
    log.write(1, &values(1)).unwrap();
    let first = fs::read(&path).unwrap();
    log.write(2, &values(2)).unwrap();
    let both = fs::read(&path).unwrap();
    for len in first.len()..both.len() {
        fs::write(&path, &both[..len]).unwrap();
        // All of the last line but its end is a whole record.
        let whole = if len + 1 == both.len() { 2 } else { 1 };
        assert_eq!(read_all(&path).unwrap().len(), whole, "{len}");
        let mut log = RunLog::open(folder.path(), 1).unwrap();
        log.write(2, &values(2)).unwrap();
        assert!(fs::read(&path).unwrap() == both, "{len}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_null() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = RunLog::open(folder.path(), 0).unwrap();
    log.write(1, &[("a".into(), f32::NAN), ("b".into(), 2.0)])
        .unwrap();
    let (step, record) = read_all(&folder.path().join("metrics.jsonl"))
        .unwrap()
        .remove(0);
    assert_eq!((step, record["b"].as_f64()), (1, Some(2.0)));
    assert!(record["a"].is_null());
}
