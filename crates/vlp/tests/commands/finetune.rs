//! Downstream tasks and the choice of the best checkpoint.

use std::fs;
use std::path::Path;
use std::process::Command;

use safetensors::SafeTensors;
use serde_json::Value;
use vlp_weights::WeightsFile;

use crate::support::{fail, set_values, succeed, tiny, vlp};
use crate::{results, soho_command};

/// `vlp finetune TASK --from RUN --out OUT` for two steps.
fn finetune(task: &str, from: &Path, out: &Path) -> Command {
    let mut command = vlp(&["finetune", task, "--from"]);
    command.arg(from).arg("--out").arg(out);
    let set = [
        "train.steps=2",
        "train.schedule.warmup_steps=1",
        "data.batch_size=4",
        "data.min_answers=1",
        "eval.examples=6",
        "eval.retrieval=3",
    ];
    set_values(&mut command, &set);
    command
}

#[test]
fn every_task_fine_tunes_from_either_system_and_evaluate_reproduces_its_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let (e2e, soho) = (folder.path().join("e2e"), folder.path().join("soho"));
    succeed(&mut tiny(&e2e, &[]));
    succeed(&mut soho_command(&soho, &[]));
    let mut tuned = String::new();
    for (from, task, metric) in [
        (&e2e, "vqa", "vqa/accuracy"),
        (&e2e, "nlvr2", "nlvr2/consistency"),
        (&e2e, "snli-ve", "snli_ve/accuracy"),
        (&e2e, "retrieval", "retrieval/i2t_r1"),
        (&e2e, "caption", "caption/cider_d"),
        (&e2e, "detection", "detection/ap"),
        (&soho, "vqa", "vqa/accuracy"),
        (&soho, "nlvr2", "nlvr2/accuracy"),
        (&soho, "retrieval", "retrieval/t2i_r10"),
    ] {
        tuned = format!("{task}-{}", from.display().to_string().len());
        let out = folder.path().join(&tuned);
        succeed(&mut finetune(task, from, &out));
        let results = results(&out);
        let mut rows = results["trained"].as_array().unwrap().iter();
        let row = rows.find(|row| row["name"] == metric);
        let value = row.unwrap_or_else(|| panic!("{task}: no {metric}"))["value"].as_f64();
        let report = fs::read_to_string(out.join("report.html")).unwrap();
        assert!(
            report.contains("loaded from"),
            "{task}: the report does not say where it started"
        );
        // The checkpoint has the metrics of the run.
        let output = vlp(&["evaluate"]).arg(&out).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{metric} ")))
            .unwrap();
        let expected = vlp::format::format_metric(value);
        assert!(line.ends_with(&expected), "{task}: {line}, not {expected}");
    }
    // Fine-tuning leaves the dictionary unchanged.
    let file = folder.path().join("weights.safetensors");
    let codes = |run: &Path| {
        let _ = fs::remove_file(&file);
        succeed(vlp(&["weights", "export"]).arg(run).arg(&file));
        let bytes = fs::read(&file).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = |name: &str| tensors.tensor(name).unwrap().data().to_vec();
        (
            tensor("model.quantizer.dictionary.running_codes"),
            tensor("model.input_proj.conv.weight"),
        )
    };
    let (before, after) = (codes(&soho), codes(&folder.path().join(&tuned)));
    assert!(before.0 == after.0 && before.1 != after.1);
    let out = folder.path().join("unused");
    let line = fail(&mut finetune("vqaa", &e2e, &out));
    assert!(line.contains("did you mean \"vqa\"?"), "{line}");
    let line = fail(finetune("vqa", &e2e, &out).args(["--set", "model.d_model=32"]));
    assert!(
        line.contains("model.") && line.contains("has shape"),
        "{line}"
    );
    let line = fail(&mut finetune("vqa", &out.join("nothing"), &out));
    assert!(line.contains("is not a run folder"), "{line}");
}

/// The parameter of this name in a run.
fn parameter(run: &Path, name: &str) -> Vec<f32> {
    let file = run.with_extension("safetensors");
    succeed(vlp(&["weights", "export"]).arg(run).arg(&file));
    let values = WeightsFile::open(&file).unwrap().read_f32(name).unwrap();
    fs::remove_file(&file).unwrap();
    values
}

#[test]
fn dictionary_is_dropped_frozen_or_trained_with_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let soho = path("soho");
    succeed(&mut soho_command(&soho, &[]));
    let config = |run: &str| fs::read_to_string(path(run).join("config.toml")).unwrap();
    let totals = |run: &Path| parameter(run, "model.quantizer.dictionary.running_totals");

    succeed(&mut finetune("vqa", &soho, &path("frozen")));
    assert!(config("frozen").contains("frozen_until = 1.0"));
    assert_eq!(totals(&path("frozen")), totals(&soho));
    // From a run without and with the group that freezes the dictionary.
    for (from, out) in [(&soho, "dropped"), (&path("frozen"), "dropped-later")] {
        let mut command = finetune("vqa", from, &path(out));
        succeed(command.args(["--set", "model.quantizer=off"]));
        assert!(!config(out).contains("dictionary"));
    }
    for (from, out) in [(&soho, "scratch"), (&path("frozen"), "scratch-later")] {
        succeed(finetune("vqa", from, &path(out)).arg("--from-scratch"));
        assert!(!config(out).contains("frozen_until = 1.0"));
        // The numbers of updates and restarts were zero.
        assert!(totals(&path(out))[0] > 0.0, "{:?}", totals(&path(out)));
    }
}

#[test]
fn checkpoints_are_read_by_choice_and_the_best_one_by_its_metric() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let set = ["eval.every=2", "checkpoint.keep=3", "eval.examples=8"];
    succeed(&mut soho_command(&run, &set));
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let records = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let accuracies = records
        .filter_map(|record| Some((record["step"].as_u64()?, record["itm/accuracy"].as_f64()?)));
    let accuracies: Vec<(u64, f64)> = accuracies.collect();
    assert_eq!(accuracies.len(), 3, "{accuracies:?}");
    let best = accuracies.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    let best = best.unwrap().0.to_string();
    let evaluate = |checkpoint: &str| {
        let mut command = vlp(&["evaluate"]);
        let output = command.arg(&run).args(["--checkpoint", checkpoint]);
        let output = output.output().unwrap();
        assert!(output.status.success(), "{checkpoint}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(evaluate("best"), evaluate(&best));
    assert_eq!(evaluate("last"), evaluate("6"));
    assert_ne!(evaluate("2"), evaluate("6"));
    let line = fail(vlp(&["evaluate"]).arg(&run).args(["--checkpoint", "3"]));
    assert!(line.contains("2, 4, 6"), "{line}");
    let exported = folder.path().join("exported");
    let mut export = vlp(&["weights", "export"]);
    succeed(
        export
            .arg(&run)
            .arg(&exported)
            .args(["--checkpoint", &best]),
    );
    let line = fail(
        vlp(&["evaluate"])
            .arg(&exported)
            .args(["--checkpoint", "best"]),
    );
    assert!(line.contains("without a checkpoint \"best\""), "{line}");
    let tuned = folder.path().join("tuned");
    succeed(finetune("retrieval", &run, &tuned).args(["--checkpoint", "best"]));
    let report = fs::read_to_string(tuned.join("report.html")).unwrap();
    assert!(report.contains(&format!("(step {best})")));
    // The metric is checked before anything is written.
    let refused = folder.path().join("refused");
    for name in ["dictionary/dead_codes", "itm/acuracy"] {
        let best_by = format!("checkpoint.best_by={name}");
        let line = fail(&mut soho_command(&refused, &[&best_by]));
        assert!(line.contains("Known: itm/accuracy"), "{line}");
        assert!(!refused.exists());
    }
}

#[test]
fn best_checkpoint_follows_the_objectives_unless_its_metric_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let text = succeed(tiny(&run, &["objectives.itm=off"]).args(["--stop-at", "1"]));
    let lines = text.lines().filter(|line| line.contains("best_by"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("have no itm/accuracy"), "{text}");
    let text = succeed(vlp(&["pretrain", "--resume"]).arg(&run));
    assert!(!text.contains("best_by"), "{text}");
    succeed(vlp(&["evaluate"]).arg(&run).args(["--checkpoint", "best"]));
    let file = folder.path().join("own.toml");
    fs::write(&file, "[checkpoint]\nbest_by = \"itm/accuracy\"\n").unwrap();
    let refused = folder.path().join("refused");
    let set = ["objectives.itm=off", "checkpoint.best_by=itm/accuracy"];
    for command in [
        &mut tiny(&refused, &set),
        tiny(&refused, &set[..1]).arg("--config").arg(&file),
    ] {
        let line = fail(command);
        assert!(line.contains("Known: mlm/accuracy"), "{line}");
    }
}
