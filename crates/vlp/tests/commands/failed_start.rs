//! A run that fails at its start leaves no folder, so that the corrected command can use it.

use std::fs;

use crate::support::{fail, set_values, succeed, tiny, vlp};

#[test]
fn initial_weights_that_cannot_be_loaded_leave_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let [run, out, empty] = ["run", "out", "empty"].map(|name| folder.path().join(name));
    let missing = folder.path().join("typo.safetensors");
    let line = fail(tiny(&run, &[]).arg("--weights").arg(&missing));
    assert!(line.contains("typo.safetensors"), "{line}");
    assert!(!run.exists());
    // The trainer refuses it.
    let group = r#"train.optimizer.groups=[{ pattern = "no such parameter", learning_rate = 0.0, weight_decay = 0.0, kind = { rule = "adamw" } }]"#;
    let line = fail(&mut tiny(&run, &[group]));
    assert!(line.contains("no such parameter"), "{line}");
    assert!(!run.exists());
    succeed(&mut tiny(&run, &[]));

    // As if killed before its first checkpoint.
    fs::create_dir(&empty).unwrap();
    for name in ["config.toml", "tokenizer.json", "vocabulary.json"] {
        fs::copy(run.join(name), empty.join(name)).unwrap();
    }
    let finetune = |from: &std::path::Path| {
        let mut command = vlp(&["finetune", "caption", "--from"]);
        command.arg(from).arg("--out").arg(&out);
        set_values(
            &mut command,
            &["train.steps=2", "train.schedule.warmup_steps=1"],
        );
        command
    };
    let line = fail(finetune(&run).args(["--set", "model.d_model=32"]));
    assert!(
        line.contains(" has shape [") && line.contains("], not ["),
        "{line}"
    );
    assert!(!line.contains("dims"), "{line}");
    assert!(!out.exists());
    let line = fail(finetune(&run).args(["--checkpoint", "99"]));
    assert!(line.contains("99"), "{line}");
    assert!(!out.exists());
    let line = fail(&mut finetune(&empty));
    assert!(line.contains("has no checkpoint yet"), "{line}");
    assert!(!out.exists());
    succeed(&mut finetune(&run));
}
