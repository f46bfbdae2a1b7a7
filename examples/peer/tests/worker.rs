//! The worker as the comparison uses it: a process that is asked line by line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};

/// The answers of a fresh worker.
fn ask(requests: &[Value]) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_peer-worker"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    requests
        .iter()
        .for_each(|request| writeln!(stdin, "{request}").unwrap());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Prepares a case in `folder` and runs it, twice with a timed repeat and once in a separate process.
fn losses(case: &str, folder: &Path) -> Value {
    let prepared = ask(&[json!({"prepare": case, "dir": folder})]).remove(0);
    let request = json!({"case": case, "weights": prepared["weights"], "inputs": prepared["inputs"], "repeats": 1});
    let answers = ask(&[request.clone(), request.clone()]);
    let separate = ask(&[request]).remove(0);
    for answer in answers.iter().chain([&separate]) {
        assert_eq!(answer["case"], case, "{answer}");
        assert_eq!(answer["seconds"].as_array().unwrap().len(), 1);
        assert!(answer["seconds"][0].as_f64().unwrap() > 0.0);
        // Those of the first run, whatever was trained since.
        assert_eq!(answer["losses"], separate["losses"], "{case}");
        #[cfg(target_os = "linux")]
        assert!(answer["peak_rss"].as_u64().unwrap() > 1 << 20);
    }
    separate["losses"].clone()
}

fn names(losses: &Value) -> Vec<&str> {
    let values = losses.as_object().unwrap();
    assert!(
        values.values().all(|v| v.as_f64().unwrap().is_finite()),
        "{losses}"
    );
    values.keys().map(String::as_str).collect()
}

#[test]
fn steps_give_every_term() {
    let folder = tempfile::tempdir().unwrap();
    let e2e = losses("tiny-step", folder.path());
    let terms = [
        "attribute",
        "caption",
        "class",
        "giou",
        "grad_norm",
        "itm",
        "l1",
        "mlm",
        "total",
    ];
    let layered = ["attribute.0", "class.0", "giou.0", "l1.0"];
    let mut wanted = [&terms[..], &layered[..]].concat();
    wanted.sort_unstable();
    assert_eq!(names(&e2e), wanted);
    let weight = |name: &str| match name.split('.').next().unwrap() {
        "l1" => 5.0,
        "giou" | "itm" => 2.0,
        "total" | "grad_norm" => 0.0,
        _ => 1.0,
    };
    let of = |name: &str| e2e[name].as_f64().unwrap();
    let sum: f64 = wanted.iter().map(|name| weight(name) * of(name)).sum();
    // A dozen additions of f32.
    assert!((sum - of("total")).abs() < 1e-5 * sum, "{sum} {e2e}");
    let soho = losses("soho-tiny-step", folder.path());
    assert_eq!(names(&soho), ["grad_norm", "itm", "mlm", "mvm", "total"]);
}

#[test]
fn what_needs_no_model() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(names(&losses("jpeg", folder.path())), ["pixels"]);
    let one_by_one = losses("tokenize", folder.path());
    assert_eq!(names(&one_by_one), ["ids", "tokens"]);
    assert_eq!(losses("tokenize-batched", folder.path()), one_by_one);
    assert_eq!(names(&losses("matching", folder.path())), ["cost"]);
}

#[test]
fn inputs_that_do_not_go_together_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("inputs.safetensors");
    let bytes = [0; 32];
    let rows = |width: usize| {
        let count = 4 * 2 * width;
        TensorView::new(Dtype::F32, vec![2, width], &bytes[..count]).unwrap()
    };
    serialize_to_file([("table", rows(4)), ("features", rows(3))], None, &file).unwrap();
    let request = json!({"case": "dictionary", "weights": null, "inputs": file, "repeats": 1});
    let answers = ask(&[request, json!({"versions": true})]);
    let error = answers[0]["error"].as_str().unwrap();
    assert!(error.contains("inputs"), "{error}");
    assert!(answers[1]["versions"].is_object());
}

#[test]
fn what_fails_is_said_and_the_worker_goes_on() {
    let answers = ask(&[
        json!("no object"),
        json!({"case": "jpg", "weights": null, "inputs": "/nowhere", "repeats": 1}),
        json!({"prepare": "jpg", "dir": "/nowhere"}),
        json!({"case": "jpeg", "weights": null, "inputs": "/nowhere", "repeats": 1}),
        json!({"case": "jpeg", "weights": null, "inputs": "/nowhere"}),
        json!({"versions": true}),
    ]);
    let error = |at: usize| answers[at]["error"].as_str().unwrap().to_owned();
    assert!(error(0).contains("case"), "{}", error(0));
    assert!(error(1).contains("/nowhere"), "{}", error(1));
    assert!(error(2).contains("\"jpg\""), "{}", error(2));
    assert!(error(3).contains("/nowhere"), "{}", error(3));
    assert!(error(4).contains("repeats"), "{}", error(4));
    assert_eq!(answers[5]["versions"]["vlp"], env!("CARGO_PKG_VERSION"));
    assert!(answers[5]["versions"]["burn"].is_string());
}
