//! Flags that a command would ignore are refused.

use std::fs;
use std::process::Command;

use crate::support::{fail, set_values, stderr, succeed, tiny, vlp};

/// Runs a command that the command-line parser must refuse. Returns its message.
fn refuse(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{command:?}: {text}");
    text
}

#[test]
fn flags_that_a_command_would_ignore_are_refused() {
    for (flag, value) in [
        ("--weights", Some("missing.safetensors")),
        ("--preset", Some("soho-tiny")),
        ("--config", Some("x.toml")),
        ("--data", Some("scenes")),
        ("--steps", Some("9")),
        ("--seed", Some("3")),
        ("--quick", None),
        ("--set", Some("train.steps=9")),
        ("--out", Some("other")),
    ] {
        let mut command = vlp(&["pretrain", "--resume", "run", flag]);
        let text = refuse(command.args(value));
        assert!(text.contains("--resume") && text.contains(flag), "{text}");
    }
    let finetune = ["finetune", "vqa", "--from", "run", "--out", "tuned"];
    let text = refuse(vlp(&finetune).args(["--from-scratch", "--checkpoint", "best"]));
    assert!(text.contains("--checkpoint"), "{text}");
    refuse(vlp(&finetune).args(["--preset", "soho-tiny"]));
    for flags in [
        ["--preset", "soho-tiny"],
        ["--steps", "9"],
        ["--weights", "x.pth"],
    ] {
        let text = refuse(vlp(&["evaluate", "run"]).args(flags));
        assert!(text.contains(flags[0]), "{text}");
        if flags[0] != "--preset" {
            refuse(vlp(&["scenes", "--out", "scenes"]).args(flags));
        }
    }
    for entry in [
        "train.steps=9",
        "data.batch_size=2",
        "data.karpathy=x.json",
        "data.images=x",
        "data.premise=true",
    ] {
        let line = fail(&mut vlp(&["data", "check", "scenes", "--set", entry]));
        assert!(
            line.contains("does not read it; it reads data.source"),
            "{line}"
        );
        let line = fail(&mut vlp(&["scenes", "--out", "scenes", "--set", entry]));
        assert!(line.ends_with("it reads data.scenes."), "{line}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "[data.scenes]\nsplit = \"test\"").unwrap();
    let file = file.path().to_str().unwrap();
    for (option, value, flag) in [
        ("--set", "data.scenes.count=3", "use --count"),
        ("--set", "data.scenes={count=3}", "use --count"),
        ("--config", file, "use --split"),
    ] {
        let line = fail(vlp(&["scenes", "--out", "scenes"]).args([option, value]));
        assert!(line.contains(flag), "{line}");
    }
    let text = refuse(vlp(&["predict", "run", "x.png"]).args(["--num-beams", "3", "--top-k", "5"]));
    assert!(text.contains("--top-k"), "{text}");
}

#[test]
fn flags_for_heads_that_a_run_lacks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let without_heads = ["objectives.detection=off", "objectives.caption=off"];
    succeed(&mut tiny(&run, &without_heads));
    for (flag, value) in [
        ("--threshold", "0.3"),
        ("--num-beams", "3"),
        ("--seed", "1"),
    ] {
        let mut command = vlp(&["predict"]);
        let line = fail(command.arg(&run).arg("x.png").args([flag, value]));
        assert!(line.contains("no head for"), "{line}");
    }
    let mut command = vlp(&["predict"]);
    let line = fail(command.arg(&run).args(["x.png", "--attention"]));
    assert!(line.contains("add --question or --text"), "{line}");
    let mut command = vlp(&["evaluate"]);
    let line = fail(command.arg(&run).args(["--results", "results"]));
    assert!(line.contains("--results: this run has no head"), "{line}");
}

#[test]
fn overrides_without_effect_on_an_evaluation_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &["train.steps=2"]));
    for (key, value) in [
        // The run's own value has no more effect than another one.
        ("train.steps", "2"),
        ("train.steps", "9"),
        ("model.dropout", "0.5"),
        ("objectives.mlm", "off"),
        ("checkpoint.keep", "5"),
        ("checkpoint.best_by", "mlm/accuracy"),
        ("from", "elsewhere"),
        ("from_checkpoint", "best"),
        ("weights", "[\"x.pth\"]"),
        ("extra.mine", "1"),
        ("eval.every", "1"),
        ("eval.images", "2"),
        ("eval.folds", "2"),
        ("eval.rerank", "2"),
        ("data.tokenizer", "bert-base-uncased"),
        ("data.workers", "2"),
        ("data.window", "8"),
        ("data.bucket_by_shape", "true"),
        ("data.negative_caption", "first"),
        ("data.max_bad_fraction", "0.5"),
        ("data.min_answers", "1"),
        ("data.validation_fraction", "0.5"),
        ("data.mix", "[{source=\"scenes\"}]"),
        ("data.karpathy", "x.json"),
        ("data.images", "x"),
        ("data.premise", "true"),
        ("data.scenes.count", "8"),
        ("data.scenes.split", "val"),
    ] {
        let set = format!("{key}={value}");
        let line = fail(vlp(&["evaluate"]).arg(&run).args(["--set", &set]));
        let reason = format!("error: {key}: this evaluation does not read it; ");
        assert!(line.starts_with(&reason), "{line}");
    }
    let line = fail(
        vlp(&["evaluate"])
            .arg(&run)
            .args(["--set", "preset=soho-tiny"]),
    );
    assert!(line.contains("--preset"), "{line}");
    let file = folder.path().join("mine.toml");
    for (text, reason) in [
        ("[checkpoint]\nkeep = 5", "checkpoint.keep: this evaluation"),
        (
            "preset = \"soho-tiny\"",
            "mine.toml: preset = \"soho-tiny\"",
        ),
        ("[eval]\nexamples = 0", "eval.examples = 0: use at least 1"),
        ("[data]\nbatch_size = 0", "data.batch_size = 0"),
        ("[eval]\nretrieval = 2\nfolds = 0", "eval.folds = 0"),
        (
            "[data]\nmax_text_len = 100",
            "model.max_positions = 64: texts have up to 100 tokens",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let line = fail(vlp(&["evaluate"]).arg(&run).arg("--config").arg(&file));
        assert!(line.contains(reason), "{line}");
    }
    // The configuration of a run has no other values.
    let config = run.join("config.toml");
    let mut command = vlp(&["evaluate"]);
    command
        .arg(&run)
        .args(["--seed", "3", "--config"])
        .arg(config);
    let set = [
        "eval.examples=3",
        "eval.retrieval=2",
        "eval.folds=2",
        "data.batch_size=2",
        "data.resize.side=48",
        "data.scenes.max_objects=2",
        "data.hide_images=true",
    ];
    set_values(&mut command, &set);
    succeed(&mut command);
}

#[test]
fn a_value_is_given_by_one_argument() {
    let folder = tempfile::tempdir().unwrap();
    let [run, other] = ["run", "other"].map(|name| folder.path().join(name));
    succeed(&mut tiny(&run, &["train.steps=2"]));
    let new_run = || {
        let mut command = vlp(&["pretrain", "--out"]);
        command.arg(&other);
        command
    };
    let evaluate = || {
        let mut command = vlp(&["evaluate"]);
        command.arg(&run);
        command
    };
    let finetune = || {
        let mut command = vlp(&["finetune", "caption", "--from"]);
        command.arg(&run).arg("--out").arg(&other);
        command
    };
    for (mut command, flag, value, entry, given) in [
        (
            new_run(),
            "--steps",
            "5",
            "train.steps=7",
            "train.steps = 5",
        ),
        (
            new_run(),
            "--steps",
            "5",
            "train.steps=5",
            "train.steps = 5",
        ),
        (new_run(), "--seed", "5", "seed=7", "seed = 5"),
        (
            new_run(),
            "--weights",
            "a",
            "weights=[\"b\"]",
            "weights = [\"a\"]",
        ),
        (
            new_run(),
            "--data",
            "scenes",
            "data.source=coco:x",
            "data.source = \"scenes\"",
        ),
        (
            finetune(),
            "--steps",
            "5",
            "train.steps=7",
            "train.steps = 5",
        ),
        (evaluate(), "--seed", "5", "seed=7", "seed = 5"),
        (
            evaluate(),
            "--data",
            "coco:x",
            "data.source=scenes",
            "data.source = \"coco:x\"",
        ),
    ] {
        let line = fail(command.args([flag, value, "--set", entry]));
        let reason =
            format!("error: --set {entry}: another argument has set {given}; give one of them");
        assert_eq!(line, reason);
    }
    assert!(!other.exists());
}

#[test]
fn run_to_start_from_is_set_in_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = path("run");
    succeed(&mut tiny(&run, &["checkpoint.every=2"]));
    let line = fail(&mut tiny(&path("other"), &["from_checkpoint=best"]));
    assert!(
        line.contains("from_checkpoint = best: there is no run"),
        "{line}"
    );
    let line = fail(&mut tiny(&path("other"), &["data.scenes.split=test"]));
    assert!(line.contains("data.scenes.split = test"), "{line}");
    let finetune = |out: &str, set: &[&str]| {
        let mut command = vlp(&["finetune", "caption", "--from"]);
        command.arg(&run).arg("--out").arg(path(out));
        let short = [
            "train.steps=1",
            "train.schedule.warmup_steps=1",
            "data.batch_size=4",
        ];
        set_values(&mut command, &[&short[..], set].concat());
        command
    };
    let line = fail(&mut finetune("other", &["from=elsewhere"]));
    assert!(line.contains("from: it cannot be set"), "{line}");
    let set = ["from_checkpoint=2"];
    fail(finetune("other", &set).arg("--from-scratch"));
    let line = fail(finetune("other", &set).args(["--checkpoint", "2"]));
    assert!(line.contains("give one of them"), "{line}");
    // The flag overrides a file.
    let file = path("mine.toml");
    fs::write(&file, "from_checkpoint = \"best\"").unwrap();
    let mut command = finetune("tuned", &[]);
    command.arg("--config").arg(&file);
    succeed(command.args(["--checkpoint", "2"]));
    let config = fs::read_to_string(path("tuned").join("config.toml")).unwrap();
    assert!(config.contains("from_checkpoint = \"2\""), "{config}");
}
