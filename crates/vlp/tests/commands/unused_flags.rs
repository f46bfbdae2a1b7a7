//! Flags that a command would ignore are refused.

use std::process::Command;

use crate::support::{fail, stderr, succeed, tiny, vlp};

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
    for entry in ["train.steps=9", "data.batch_size=2", "data.karpathy=x.json"] {
        let line = fail(&mut vlp(&["data", "check", "scenes", "--set", entry]));
        assert!(
            line.contains("does not read it; it reads data.source"),
            "{line}"
        );
        let line = fail(&mut vlp(&["scenes", "--out", "scenes", "--set", entry]));
        assert!(line.ends_with("it reads data.scenes."), "{line}");
    }
    let count = ["--set", "data.scenes.count=3"];
    let line = fail(vlp(&["scenes", "--out", "scenes"]).args(count));
    assert!(line.contains("use --count"), "{line}");
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
    for set in ["train.steps=9", "model.dropout=0.5", "objectives.mlm=off"] {
        let line = fail(vlp(&["evaluate"]).arg(&run).args(["--set", set]));
        assert!(line.contains("takes it from the run"), "{line}");
    }
}
