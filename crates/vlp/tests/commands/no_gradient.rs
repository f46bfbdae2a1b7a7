//! Training on batches that no objective can learn from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vlp_scenes::Split;

use crate::support::{losses, succeed, tiny, write_scenes};
use crate::{results, soho_command};

/// Eight scenes with these captions in turn, as JSON lines. Returns the source.
fn write_captions(folder: &Path, captions: &[&str]) -> String {
    write_scenes(folder, Split::Train, 8);
    let images = fs::read_dir(folder.join("train")).unwrap();
    // Relative, since names decide which images validate, and the folder's name differs from run to run.
    let name = |path: PathBuf| path.strip_prefix(folder).unwrap().to_owned();
    let mut images: Vec<PathBuf> = images.map(|entry| name(entry.unwrap().path())).collect();
    images.sort();
    let lines = images
        .iter()
        .zip(captions.iter().cycle())
        .map(|(image, caption)| {
            let record = serde_json::json!({"image": image, "caption": caption});
            format!("{record}\n")
        });
    let file = folder.join("captions.jsonl");
    fs::write(&file, lines.collect::<String>()).unwrap();
    format!("json:{}", file.display())
}

/// Runs `command`, which trains `steps` steps. All must be skipped, with finite losses and a reason.
fn assert_nothing_is_trained(command: &mut Command, run: &Path, steps: u64, reason: &str) {
    let text = succeed(command);
    for step in 1..=steps {
        let line = format!("step {step} skipped: ");
        let line = text.lines().find(|l| l.contains(&line)).unwrap_or_default();
        assert!(line.contains(reason), "{command:?}: {text}");
    }
    let records = losses(run);
    assert_eq!(records.len() as u64, steps);
    for record in &records {
        let values = record.as_object().unwrap();
        assert!(values.values().all(Value::is_number), "{record}");
        assert_eq!(
            record["train/skipped_steps"].as_f64(),
            record["step"].as_f64()
        );
        assert_eq!(record["train/grad_norm"], 0.0);
    }
    assert_eq!(results(run)["skipped_steps"], steps);
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("nothing was trained"));
}

const MLM_ALONE: [&str; 5] = [
    "checkpoint.best_by=mlm/accuracy",
    "objectives.itm=off",
    "objectives.detection=off",
    "objectives.caption=off",
    "objectives.mlm.at_least_one=false",
];

#[test]
fn steps_without_anything_to_predict_are_skipped_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let reason = "the batch has nothing to predict";
    let check = |name: &str, steps: u64, set: &[&str]| {
        let run = folder.path().join(name);
        let set = [&MLM_ALONE, set].concat();
        assert_nothing_is_trained(&mut tiny(&run, &set), &run, steps, reason);
    };
    let mlm = "objectives.mlm.probability=0";
    // More steps than `max_skipped`.
    check("mlm", 4, &[mlm, "train.max_skipped=2"]);
    check("accumulated", 4, &[mlm, "train.accumulate=3"]);
    let halves = ["train.accumulate=2", "train.data_parallel_halves=true"];
    check("halves", 4, &[&[mlm], &halves[..]].concat());
    // Captions of special tokens have no word to mask.
    let source = write_captions(folder.path(), &["[MASK]", "[CLS] [SEP]", "[PAD]", ""]);
    for (name, accumulate) in [("captions", 1), ("accumulated-captions", 2)] {
        let source = format!("data.source={source}");
        let accumulate = format!("train.accumulate={accumulate}");
        check(
            name,
            4,
            &[&source, &accumulate, "data.validation_fraction=0.5"],
        );
    }
}

#[test]
fn visual_modeling_alone_without_a_masked_position_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let set = [
        "checkpoint.best_by=mvm/accuracy",
        "objectives.itm=off",
        "objectives.mlm=off",
        "objectives.mvm.probability=0.0",
    ];
    let reason = "the batch has nothing to predict";
    assert_nothing_is_trained(&mut soho_command(&run, &set), &run, 6, reason);
}

#[test]
fn steps_with_every_parameter_frozen_are_skipped_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let group = r#"train.optimizer.groups=[{pattern=".", learning_rate=1e-3, weight_decay=0.0, kind={rule="adamw"}, frozen_until=1.0}]"#;
    let reason = "every parameter is frozen";
    assert_nothing_is_trained(&mut tiny(&run, &[group]), &run, 4, reason);
}

#[test]
fn batches_without_words_train_the_other_objectives() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let source = write_captions(folder.path(), &["[MASK]", "[SEP] [UNK]"]);
    let source = format!("data.source={source}");
    succeed(&mut tiny(&run, &[&source, "data.validation_fraction=0.5"]));
    let records = losses(&run);
    assert_eq!(records.len(), 4);
    for record in &records {
        let values = record.as_object().unwrap();
        assert!(values.values().all(Value::is_number), "{record}");
    }
}
