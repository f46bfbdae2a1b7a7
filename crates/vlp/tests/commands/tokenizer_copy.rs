//! Runs and exported models keep their own tokenizer.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use vlp_scenes::Split;
use vlp_text::WordPieceTokenizer;

use crate::support::{fail, resume, succeed, tiny, vlp, write_scenes};

/// Captions of two images by the model in `model`.
fn captions(command: &mut Command, out: &Path) -> Vec<Value> {
    succeed(command.arg("--out").arg(out));
    let text = fs::read(out.join("predictions.json")).unwrap();
    let predictions: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let captions = predictions.into_iter().map(|item| item["caption"].clone());
    captions.collect()
}

#[test]
fn run_and_exported_model_use_their_own_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_scenes(&path("data"), Split::Train, 2);
    let mut tokens = WordPieceTokenizer::scenes().tokens().to_vec();
    fs::write(path("vocab.txt"), tokens.join("\n")).unwrap();
    let set = ["data.tokenizer=vocab.txt", "checkpoint.every=2"];
    let (run, exported) = (path("run"), path("exported"));
    let whole = path("whole");
    succeed(tiny(&whole, &set).current_dir(folder.path()));
    let mut command = tiny(&run, &set);
    succeed(command.args(["--stop-at", "2"]).current_dir(folder.path()));
    let copy = WordPieceTokenizer::from_tokenizer_json(run.join("tokenizer.json")).unwrap();
    let vocabulary = fs::read_to_string(run.join("vocabulary.json")).unwrap();
    assert!(vocabulary.contains(&copy.sha256()));
    // Started next to the file, then used from elsewhere, after the file has changed.
    let predict = |model: &Path, out: &str| {
        let mut command = vlp(&["predict"]);
        captions(command.arg(model).arg(path("data/train")), &path(out))
    };
    let expected = predict(&run, "before");
    tokens[5..].reverse();
    fs::write(path("vocab.txt"), tokens.join("\n")).unwrap();
    assert_eq!(predict(&run, "after"), expected);
    succeed(vlp(&["evaluate"]).arg(&run));
    succeed(vlp(&["weights", "export"]).arg(&run).arg(&exported));
    assert_eq!(predict(&exported, "of-exported"), expected);
    for from in [&run, &exported] {
        let tuned = path(&format!("tuned-{}", from.ends_with("run")));
        let mut command = vlp(&["finetune", "caption", "--steps", "1", "--from"]);
        command.arg(from).arg("--out").arg(&tuned);
        let warmup = ["--set", "train.schedule.warmup_steps=0"];
        succeed(command.args(warmup).current_dir(folder.path()));
        let file = fs::read(tuned.join("tokenizer.json")).unwrap();
        assert!(file == fs::read(run.join("tokenizer.json")).unwrap());
    }
    let mut command = vlp(&["finetune", "caption", "--set", "data.tokenizer=vocab.txt"]);
    command.args([
        "--set",
        "train.steps=1",
        "--set",
        "train.schedule.warmup_steps=0",
    ]);
    command
        .arg("--from")
        .arg(&run)
        .arg("--out")
        .arg(path("refused"));
    let line = fail(command.current_dir(folder.path()));
    assert!(line.contains("another vocabulary"), "{line}");
    let text = succeed(resume(&run).current_dir(folder.path()));
    assert!(
        text.contains("vocab.txt") && text.contains("has changed"),
        "{text}"
    );
    assert_eq!(predict(&run, "resumed"), predict(&whole, "whole-after"));
    let other = ["--set", "data.tokenizer=bert-base-uncased"];
    let line = fail(vlp(&["evaluate"]).arg(&run).args(other));
    assert!(line.contains("data.tokenizer"), "{line}");
    // A copy that is not the one of the run.
    let reversed = WordPieceTokenizer::from_vocab_file(path("vocab.txt")).unwrap();
    let text = reversed.to_tokenizer_json().unwrap();
    for model in [&run, &exported] {
        fs::write(model.join("tokenizer.json"), &text).unwrap();
        let mut command = vlp(&["predict"]);
        let line = fail(command.arg(model).arg(path("data/train")));
        assert!(line.contains("is not the vocabulary"), "{line}");
    }
}

#[test]
fn missing_relative_paths_are_named_with_the_working_directory() {
    let folder = tempfile::tempdir().unwrap();
    let working_dir = folder.path().canonicalize().unwrap();
    let working_dir = working_dir.to_str().unwrap();
    for set in [
        "data.source=json:own.jsonl",
        "data.validation=coco:own",
        "data.source=vqa:own/train2014",
        "data.source=shards:own",
        "data.tokenizer=own.txt",
    ] {
        let mut command = tiny(&folder.path().join("run"), &[set]);
        let line = fail(command.current_dir(folder.path()));
        assert!(line.contains("\"own"), "{line}");
        assert!(line.contains("relative to the working directory"), "{line}");
        assert!(line.contains(working_dir), "{line}");
    }
}
