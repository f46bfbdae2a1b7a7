//! Configurations, data, result files, exported models and task options from the command line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{fail, losses, set_values, stderr, succeed, tiny, vlp, write_scenes};
use vlp_scenes::Split;

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The value on the line of a metric.
fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|l| l.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name}: {text}"));
    line.split_whitespace().last().unwrap().parse().unwrap()
}

fn metric_names(run: &Path) -> Vec<String> {
    let results: Value =
        serde_json::from_slice(&fs::read(run.join("results.json")).unwrap()).unwrap();
    let rows = results["trained"].as_array().unwrap().iter();
    rows.map(|row| row["name"].as_str().unwrap().to_string())
        .collect()
}

#[test]
fn data_is_checked_viewed_packed_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, set) = (folder.path().join("coco"), folder.path().join("set"));
    write_scenes(&dir, Split::Train, 8);
    let text = stdout(vlp(&["data", "check"]).arg(&dir));
    assert!(
        text.contains("8 samples") && text.contains("no issues"),
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
    // A truncated image is an issue of the check, and is not packed.
    let file = dir.join("train/000000000003.png");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let json = folder.path().join("report.json");
    let line = fail(vlp(&["data", "check"]).arg(&dir).arg("--json").arg(&json));
    assert!(line.contains("1 issues"), "{line}");
    assert!(
        fs::read_to_string(&json)
            .unwrap()
            .contains("000000000003.png")
    );
    let stderr = succeed(vlp(&["data", "pack"]).arg(&dir).arg("--out").arg(&set));
    assert!(stderr.contains("000000000003.png"), "{stderr}");
    let text = stdout(vlp(&["data", "stats"]).arg(&set));
    assert!(text.contains("7 samples"), "{text}");
    // The same image in two sources.
    let line = fail(vlp(&["data", "check"]).arg(&set).arg("--against").arg(&set));
    assert!(line.contains("images of the other source"), "{line}");
    let run = folder.path().join("run");
    let source = format!("data.source=shards:{}", set.display());
    let index = format!("data.index={}", folder.path().join("index").display());
    succeed(&mut tiny(
        &run,
        &[
            &source,
            &index,
            "data.window=4",
            "data.validation_fraction=0.3",
        ],
    ));
    assert_eq!(losses(&run).len(), 4);
    // Packed shards have an index each, and need no cache.
    assert_eq!(
        fs::read_dir(folder.path().join("index")).unwrap().count(),
        0
    );
    let line = fail(
        vlp(&["data", "pack"])
            .arg(&dir)
            .args(["--out", "s3://bucket/set"]),
    );
    assert!(
        line.contains("s3://bucket/set: use a local folder"),
        "{line}"
    );
    let line = fail(vlp(&["data", "check"]).arg(folder.path().join("nothing")));
    assert!(line.contains("nothing"), "{line}");
}

#[test]
fn sources_are_mixed_and_test_images_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    write_scenes(&first, Split::Train, 8);
    write_scenes(&second, Split::Train, 4);
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
    succeed(&mut tiny(
        &run,
        &[&source, &mix, "data.validation_fraction=0.3"],
    ));
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        report.contains("2 samples of 2 test images"),
        "the report names the removed test images"
    );
    assert!(
        report.contains("no test images are removed"),
        "the report names sources without a test split"
    );
}

#[test]
fn result_files_have_the_metrics_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("coco");
    write_scenes(&dir, Split::Train, 6);
    let run = folder.path().join("run");
    let source = format!("coco:{}", dir.display());
    let training = format!("data.source={source}");
    let validation = format!("data.validation={source}");
    succeed(&mut tiny(
        &run,
        &[&training, &validation, "eval.examples=6"],
    ));
    let files = folder.path().join("results");
    let text = stdout(vlp(&["evaluate"]).arg(&run).arg("--results").arg(&files));
    let annotations = |kind: &str| dir.join(format!("annotations/{kind}_train.json"));
    let score = |task: &str, file: &str, kind: &str| {
        let mut command = vlp(&["score", task]);
        stdout(command.arg(files.join(file)).arg(annotations(kind)))
    };
    let captions = score("caption", "captions.json", "captions");
    assert_eq!(
        metric(&captions, "CIDEr-D"),
        metric(&text, "caption/cider_d")
    );
    assert_eq!(metric(&captions, "BLEU-4"), metric(&text, "caption/bleu4"));
    let boxes = score("detection", "detections.json", "instances");
    assert_eq!(metric(&boxes, "AP"), metric(&text, "detection/ap"));
    let mut incomplete: Value =
        serde_json::from_slice(&fs::read(files.join("captions.json")).unwrap()).unwrap();
    incomplete.as_array_mut().unwrap().pop();
    fs::write(files.join("captions.json"), incomplete.to_string()).unwrap();
    let mut command = vlp(&["score", "caption"]);
    command
        .arg(files.join("captions.json"))
        .arg(annotations("captions"));
    let line = fail(&mut command);
    assert!(
        line.contains("captions.json: 1 of 6 ids have no record") && line.contains("add --subset"),
        "{line}"
    );
    let captions = stdout(command.arg("--subset"));
    assert!(
        captions.starts_with("images ") && captions.contains(" 5 of 6\n"),
        "{captions}"
    );

    // The same for questions.
    let answers = folder.path().join("answers");
    let mut command = vlp(&["finetune", "vqa", "--quick", "--from"]);
    command.arg(&run).arg("--out").arg(&answers);
    let questions = format!("data.source=vqa:{}", dir.join("vqa/train").display());
    let same = format!("data.validation=vqa:{}", dir.join("vqa/train").display());
    let set = [&questions, &same, "data.min_answers=1", "eval.examples=100"];
    set_values(&mut command, &set);
    succeed(&mut command);
    let files = folder.path().join("vqa");
    let text = stdout(
        vlp(&["evaluate"])
            .arg(&answers)
            .arg("--results")
            .arg(&files),
    );
    let mut annotations = fs::read_dir(dir.join("vqa"))
        .unwrap()
        .flatten()
        .map(|e| e.path());
    let annotations = annotations
        .find(|p| p.to_string_lossy().contains("annotations"))
        .unwrap();
    let scored = stdout(
        vlp(&["score", "vqa"])
            .arg(files.join("vqa.json"))
            .arg(annotations),
    );
    // The official tool rounds each question's accuracy to two decimals of a percent; the run's metric is exact.
    let (ours, official) = (
        metric(&text, "vqa/accuracy"),
        metric(&scored, "VQA accuracy"),
    );
    assert!((ours - official).abs() < 2e-3, "{ours} {official}");
}

#[test]
fn retrieval_has_two_stages_and_captions_train_on_a_reward() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &[]));
    let tune = |task: &str, out: &Path, set: &[&str]| {
        let mut command = vlp(&["finetune", task, "--quick", "--from"]);
        command.arg(&run).arg("--out").arg(out);
        set_values(&mut command, set);
        command
    };
    let two_stage = folder.path().join("two-stage");
    let hard = "objectives.itc.hard_negatives=true";
    succeed(&mut tune(
        "retrieval",
        &two_stage,
        &[hard, "objectives.itc.dim=8", "eval.rerank=2"],
    ));
    let names = metric_names(&two_stage);
    for name in ["retrieval/i2t_r1", "itc/t2i_r5", "retrieval/pairs_encoded"] {
        assert!(names.iter().any(|other| other == name), "{name}: {names:?}");
    }
    let text = stdout(vlp(&["evaluate"]).arg(&two_stage));
    // 8 images and 8 texts with two candidates each: 16 to 32 of 64 pairs.
    let pairs = metric(&text, "retrieval/pairs_encoded");
    assert!((16.0..=32.0).contains(&pairs), "{pairs}");
    let text = stdout(
        vlp(&["evaluate"])
            .arg(&two_stage)
            .args(["--set", "eval.rerank=0"]),
    );
    assert_eq!(metric(&text, "retrieval/pairs_encoded"), 64.0);
    let text = stdout(vlp(&["evaluate"]).arg(&two_stage).args([
        "--set",
        "eval.folds=2",
        "--set",
        "eval.retrieval_texts=2",
        "--set",
        "eval.rerank=0",
    ]));
    // Two folds of 4 images with 2 texts each: 32 pairs in each fold.
    assert_eq!(metric(&text, "retrieval/pairs_encoded"), 32.0);
    let unused = folder.path().join("unused");
    let line = fail(&mut tune("retrieval", &unused, &["eval.rerank=2"]));
    assert!(line.contains("objectives.itc"), "{line}");

    let reward = folder.path().join("reward");
    let self_critical = "objectives.caption.self_critical.samples=2";
    succeed(&mut tune("caption", &reward, &[self_critical]));
    assert!(losses(&reward)[0]["stats/caption/reward"].as_f64().unwrap() >= 0.0);
}

#[test]
fn exported_model_replaces_its_run_and_caption_flags_apply() {
    let folder = tempfile::tempdir().unwrap();
    let (run, model) = (folder.path().join("run"), folder.path().join("model"));
    let cache = folder.path().join("cache").display().to_string();
    let file = folder.path().join("cache.toml");
    fs::write(&file, format!("data.index = \"{cache}\"")).unwrap();
    succeed(tiny(&run, &[]).arg("--config").arg(&file));
    let mut command = vlp(&["weights", "export", "--device", "flex"]);
    succeed(command.arg(&run).arg(&model));
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    assert!(!config.contains(&cache), "{config}");
    let line = fail(vlp(&["weights", "export"]).arg(&run).arg(&model));
    assert!(line.contains("already exists"), "{line}");
    let dir = folder.path().join("coco");
    write_scenes(&dir, Split::Train, 2);
    let image = dir.join("train/000000000001.png");
    let predict = |from: &Path, flags: &[&str]| {
        let out = folder.path().join("out");
        let _ = fs::remove_dir_all(&out);
        let mut command = vlp(&["predict"]);
        command.arg(from).arg(&image).arg("--out").arg(&out);
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
    let line = fail(vlp(&["predict"]).arg(&model).arg(&image));
    assert!(line.contains("tokenizer.json: is missing"), "{line}");
    let weights = fs::read(model.join("model.safetensors")).unwrap();
    fs::write(
        model.join("model.safetensors"),
        &weights[..weights.len() / 2],
    )
    .unwrap();
    fail(vlp(&["evaluate"]).arg(&model));

    let words = |prediction: &Value| {
        let text = prediction["caption"]["text"].as_str().unwrap();
        text.split_whitespace()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let all_tokens = usize::MAX.to_string();
    let sampled = ["--temperature", "5", "--seed", "1", "--top-k", &all_tokens];
    let (first, second) = (predict(&run, &sampled).0, predict(&run, &sampled).0);
    assert_eq!(first, second, "the same seed gives the same caption");
    assert_ne!(
        first["caption"],
        predict(&run, &["--temperature", "5", "--seed", "2"]).0["caption"]
    );
    let most_probable = predict(&run, &["--top-k", "1"]).0;
    assert_eq!(
        most_probable["caption"]["text"],
        predict(&run, &[]).0["caption"]["text"]
    );
    let short = predict(&run, &["--max-new-tokens", "3", "--num-beams", "2"]).0;
    assert!(words(&short).len() <= 3, "{short}");
    let (prediction, page) = predict(&run, &["--attention", "--text", "a red circle"]);
    let maps = prediction["attention_maps"].as_array().unwrap();
    let count = |source: &str| maps.iter().filter(|map| map["source"] == source).count();
    assert_eq!(
        count("object"),
        prediction["objects"].as_array().unwrap().len()
    );
    assert_eq!(count("a red circle"), 3);
    for map in maps {
        let size = map["rows"].as_u64().unwrap() * map["columns"].as_u64().unwrap();
        let weights = map["weights"].as_array().unwrap();
        assert_eq!(weights.len() as u64, size);
        let sum: f64 = weights.iter().map(|w| w.as_f64().unwrap()).sum();
        // Weights on the image sum to 1, or less if the query attends to text as well.
        assert!(sum > 0.0 && sum < 1.0 + 1e-4, "{sum}");
    }
    assert!(page.contains("red (a red circle)"));
    let line = fail(
        vlp(&["predict"])
            .arg(&run)
            .arg(&image)
            .args(["--top-p", "0"]),
    );
    assert!(line.contains("--top-p 0"), "{line}");
}

#[test]
fn config_list_and_show_print_presets_and_values() {
    let output = vlp(&["config", "list"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("e2e-vlp-tiny") && text.lines().count() == vlp::config::PRESETS.len(),
        "{text}"
    );
    let output = vlp(&["config", "show", "--steps", "7"]).output().unwrap();
    let config: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    assert_eq!(config["train"]["steps"].as_integer(), Some(7));
    assert_eq!(config["preset"].as_str(), Some("e2e-vlp-tiny"));
}
