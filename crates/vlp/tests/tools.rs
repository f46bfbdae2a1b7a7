//! Data, result files, model folders and the options of tasks, from the command line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{fail, losses, stderr, succeed, tiny, vlp};
use vlp_data::{Scenes, ScenesConfig};

/// Scenes as COCO files in `dir`.
fn coco(dir: &Path, count: usize) {
    let scenes = ScenesConfig {
        resolution: 32,
        count,
        ..ScenesConfig::default()
    };
    Scenes::new(scenes).unwrap().write_to(dir).unwrap();
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The figure of a line that begins with `name`.
fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|l| l.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name}: {text}"));
    line.split_whitespace().last().unwrap().parse().unwrap()
}

fn names(run: &Path) -> Vec<String> {
    let results: Value =
        serde_json::from_slice(&fs::read(run.join("results.json")).unwrap()).unwrap();
    let rows = results["trained"].as_array().unwrap().iter();
    rows.map(|row| row[0].as_str().unwrap().to_string())
        .collect()
}

#[test]
fn data_is_checked_viewed_packed_and_trained_on_from_shards() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, set) = (folder.path().join("coco"), folder.path().join("set"));
    coco(&dir, 8);
    let text = stdout(vlp(&["data", "check"]).arg(&dir));
    assert!(
        text.contains("8 samples") && text.contains("no faults"),
        "{text}"
    );
    let page = folder.path().join("page.html");
    succeed(
        vlp(&["data", "view"])
            .arg(&dir)
            .arg("--out")
            .arg(&page)
            .args(["--count", "3"]),
    );
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches(".png<").count(), 3, "three cards");
    // A truncated picture is a fault of the check, and is left out of the shards.
    let file = dir.join("train/000000000003.png");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let json = folder.path().join("report.json");
    let line = fail(vlp(&["data", "check"]).arg(&dir).arg("--json").arg(&json));
    assert!(line.contains("1 faults"), "{line}");
    assert!(
        fs::read_to_string(&json)
            .unwrap()
            .contains("000000000003.png")
    );
    let told = succeed(vlp(&["data", "pack"]).arg(&dir).arg("--out").arg(&set));
    assert!(told.contains("000000000003.png"), "{told}");
    let text = stdout(vlp(&["data", "stats"]).arg(&set));
    assert!(text.contains("7 samples"), "{text}");
    // The same image in two sources.
    let line = fail(vlp(&["data", "check"]).arg(&set).arg("--against").arg(&set));
    assert!(line.contains("faults"), "{line}");
    let run = folder.path().join("run");
    let source = format!("data.source=shards:{}", set.display());
    let index = format!("data.index={}", folder.path().join("index").display());
    succeed(&mut tiny(
        &run,
        &[&source, &index, "data.window=4", "data.heldout_share=0.3"],
    ));
    assert_eq!(losses(&run).len(), 4);
    assert_eq!(
        fs::read_dir(folder.path().join("index")).unwrap().count(),
        1
    );
    let line = fail(
        vlp(&["data", "pack"])
            .arg(&dir)
            .args(["--out", "s3://bucket/set"]),
    );
    assert!(
        line.contains("s3://bucket/set: give a local folder"),
        "{line}"
    );
    let line = fail(vlp(&["data", "check"]).arg(folder.path().join("nothing")));
    assert!(line.contains("nothing"), "{line}");
}

#[test]
fn sources_mix_and_test_images_are_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    coco(&first, 8);
    coco(&second, 4);
    let images: Vec<Value> = (0..8)
        .map(|id| {
            let split = if id < 2 { "test" } else { "train" };
            serde_json::json!({"cocoid": id, "split": split, "filename": "x.png", "sentences": []})
        })
        .collect();
    let karpathy = serde_json::json!({"dataset": "coco", "images": images});
    fs::write(first.join("dataset_coco.json"), karpathy.to_string()).unwrap();
    let run = folder.path().join("run");
    let source = format!("data.source=coco:{}", first.display());
    let mix = format!(
        "data.mix=[{{source = \"coco:{}\", weight = 2.0, boxes = true}}]",
        second.display()
    );
    succeed(&mut tiny(&run, &[&source, &mix, "data.heldout_share=0.3"]));
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        report.contains("2 samples of 2 images"),
        "the report names what was kept out"
    );
    assert!(
        report.contains("nothing is kept out"),
        "and where nothing was"
    );
}

#[test]
fn result_files_score_as_the_run_does() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("coco");
    coco(&dir, 6);
    let run = folder.path().join("run");
    let source = format!("coco:{}", dir.display());
    let own = format!("data.source={source}");
    let heldout = format!("data.heldout={source}");
    succeed(&mut tiny(&run, &[&own, &heldout, "eval.examples=6"]));
    let files = folder.path().join("results");
    let text = stdout(vlp(&["evaluate"]).arg(&run).arg("--results").arg(&files));
    let annotations = |kind: &str| dir.join(format!("annotations/{kind}_train.json"));
    let score = |task: &str, file: &str, kind: &str| {
        let mut command = vlp(&["score", task]);
        stdout(command.arg(files.join(file)).arg(annotations(kind)))
    };
    let captions = score("caption", "captions.json", "captions");
    assert_eq!(
        figure(&captions, "CIDEr-D"),
        figure(&text, "caption CIDEr-D")
    );
    assert_eq!(figure(&captions, "BLEU-4"), figure(&text, "caption BLEU-4"));
    let boxes = score("detection", "detections.json", "instances");
    assert_eq!(figure(&boxes, "AP"), figure(&text, "detection AP"));
    let mut wrong: Value =
        serde_json::from_slice(&fs::read(files.join("captions.json")).unwrap()).unwrap();
    wrong.as_array_mut().unwrap().pop();
    fs::write(files.join("captions.json"), wrong.to_string()).unwrap();
    let mut command = vlp(&["score", "caption"]);
    let line = fail(
        command
            .arg(files.join("captions.json"))
            .arg(annotations("captions")),
    );
    assert!(line.contains("captions.json"), "{line}");

    // Questions have files of their own.
    let answers = folder.path().join("answers");
    let mut command = vlp(&["finetune", "vqa", "--quick", "--from"]);
    command.arg(&run).arg("--out").arg(&answers);
    let questions = format!("data.source=vqa:{}", dir.join("vqa/train").display());
    let same = format!("data.heldout=vqa:{}", dir.join("vqa/train").display());
    for entry in [&questions, &same, "data.min_answers=1", "eval.examples=100"] {
        command.args(["--set", entry]);
    }
    succeed(&mut command);
    let files = folder.path().join("vqa");
    let text = stdout(
        vlp(&["evaluate"])
            .arg(&answers)
            .arg("--results")
            .arg(&files),
    );
    let mut found = fs::read_dir(dir.join("vqa"))
        .unwrap()
        .flatten()
        .map(|e| e.path());
    let truth = found
        .find(|p| p.to_string_lossy().contains("annotations"))
        .unwrap();
    let scored = stdout(
        vlp(&["score", "vqa"])
            .arg(files.join("vqa.json"))
            .arg(truth),
    );
    // The official tool rounds each question's accuracy to two decimals of a percent, the run's figure is exact.
    let (ours, official) = (
        figure(&text, "VQA accuracy"),
        figure(&scored, "VQA accuracy"),
    );
    assert!((ours - official).abs() < 2e-3, "{ours} {official}");
}

#[test]
fn retrieval_is_searched_in_two_stages_and_captions_learn_from_their_reward() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &[]));
    let tune = |task: &str, out: &Path, set: &[&str]| {
        let mut command = vlp(&["finetune", task, "--quick", "--from"]);
        command.arg(&run).arg("--out").arg(out);
        for entry in set {
            command.args(["--set", entry]);
        }
        command
    };
    let two = folder.path().join("two");
    let hard = "objectives.itc.hard_negatives=true";
    succeed(&mut tune(
        "retrieval",
        &two,
        &[hard, "objectives.itc.dim=8", "eval.rerank=2"],
    ));
    let found = names(&two);
    for name in [
        "text retrieval R@1",
        "ITC image retrieval R@5",
        "retrieval pairs encoded",
    ] {
        assert!(found.iter().any(|n| n == name), "{name}: {found:?}");
    }
    let text = stdout(vlp(&["evaluate"]).arg(&two));
    // 8 pictures and 8 texts, the best two of each: 16 to 32 of 64 pairs.
    let pairs = figure(&text, "retrieval pairs encoded");
    assert!((16.0..=32.0).contains(&pairs), "{pairs}");
    let text = stdout(
        vlp(&["evaluate"])
            .arg(&two)
            .args(["--set", "eval.rerank=0"]),
    );
    assert_eq!(figure(&text, "retrieval pairs encoded"), 64.0);
    let text = stdout(vlp(&["evaluate"]).arg(&two).args([
        "--set",
        "eval.folds=2",
        "--set",
        "eval.retrieval_texts=2",
        "--set",
        "eval.rerank=0",
    ]));
    // Two folds of 4 pictures with 2 texts each, mean of 32 and 32.
    assert_eq!(figure(&text, "retrieval pairs encoded"), 32.0);
    let never = folder.path().join("never");
    let line = fail(&mut tune("retrieval", &never, &["eval.rerank=2"]));
    assert!(line.contains("objectives.itc"), "{line}");

    let reward = folder.path().join("reward");
    let critical = "objectives.caption.self_critical.samples=2";
    succeed(&mut tune("caption", &reward, &[critical]));
    assert!(losses(&reward)[0]["loss/caption.reward"].as_f64().unwrap() >= 0.0);
}

#[test]
fn a_model_folder_stands_for_its_run_and_captions_keep_to_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (run, model) = (folder.path().join("run"), folder.path().join("model"));
    succeed(&mut tiny(&run, &[]));
    succeed(vlp(&["weights", "export"]).arg(&run).arg(&model));
    let line = fail(vlp(&["weights", "export"]).arg(&run).arg(&model));
    assert!(line.contains("already exists"), "{line}");
    let dir = folder.path().join("coco");
    coco(&dir, 2);
    let picture = dir.join("train/000000000001.png");
    let predict = |from: &Path, flags: &[&str]| {
        let out = folder.path().join("out");
        let _ = fs::remove_dir_all(&out);
        let mut command = vlp(&["predict"]);
        command.arg(from).arg(&picture).arg("--out").arg(&out);
        succeed(command.args(["--threshold", "0"]).args(flags));
        let page = fs::read_to_string(out.join("predictions.html")).unwrap();
        let text = fs::read(out.join("predictions.json")).unwrap();
        (
            serde_json::from_slice::<Value>(&text).unwrap()[0].clone(),
            page,
        )
    };
    assert_eq!(predict(&run, &[]).0, predict(&model, &[]).0);
    assert_eq!(
        stdout(vlp(&["evaluate"]).arg(&run)),
        stdout(vlp(&["evaluate"]).arg(&model))
    );
    let tuned = folder.path().join("tuned");
    let mut command = vlp(&["finetune", "caption", "--quick", "--from"]);
    succeed(command.arg(&model).arg("--out").arg(&tuned));
    fs::remove_file(model.join("tokenizer.json")).unwrap();
    // The pieces are built in.
    predict(&model, &[]);
    let weights = fs::read(model.join("model.safetensors")).unwrap();
    fs::write(
        model.join("model.safetensors"),
        &weights[..weights.len() / 2],
    )
    .unwrap();
    fail(vlp(&["evaluate"]).arg(&model));

    let words = |found: &Value| {
        let text = found["caption"]["text"].as_str().unwrap();
        text.split_whitespace()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let free = ["--temperature", "5", "--seed", "1"];
    let (one, two) = (predict(&run, &free).0, predict(&run, &free).0);
    assert_eq!(one, two, "one seed, one caption");
    assert_ne!(
        one["caption"],
        predict(&run, &["--temperature", "5", "--seed", "2"]).0["caption"]
    );
    let most_probable = predict(&run, &["--top-k", "1"]).0;
    assert_eq!(
        most_probable["caption"]["text"],
        predict(&run, &[]).0["caption"]["text"]
    );
    let short = predict(&run, &["--max-len", "3", "--beams", "2"]).0;
    assert!(words(&short).len() <= 3, "{short}");
    let (looking, page) = predict(&run, &["--attention", "--text", "a red circle"]);
    let looks = looking["looks"].as_array().unwrap();
    let of = |part: &str| looks.iter().filter(|l| l["part"] == part).count();
    assert_eq!(of("object"), looking["objects"].as_array().unwrap().len());
    assert_eq!(of("a red circle"), 3);
    for look in looks {
        let cells = look["rows"].as_u64().unwrap() * look["columns"].as_u64().unwrap();
        let weights = look["weights"].as_array().unwrap();
        assert_eq!(weights.len() as u64, cells);
        let sum: f64 = weights.iter().map(|w| w.as_f64().unwrap()).sum();
        // A query's weights on the picture: all of them, or what the text beside it leaves.
        assert!(sum > 0.0 && sum < 1.0 + 1e-4, "{sum}");
    }
    assert!(page.contains("red (a red circle)"));
    let line = fail(
        vlp(&["predict"])
            .arg(&run)
            .arg(&picture)
            .args(["--top-p", "0"]),
    );
    assert!(line.contains("--top-p 0"), "{line}");
}
