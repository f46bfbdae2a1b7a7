//! Own data sets: several samples of an image, identifiers of another form, data that change during a run.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vlp_scenes::{Scenes, ScenesConfig, Split};

use crate::soho_command;
use crate::support::{fail, resume, set_values, succeed, tiny, vlp, write_scenes};

/// Images `0.png` to `5.png` in `dir`.
fn write_images(dir: &Path) {
    for index in 0..6_u8 {
        let color = image::Rgb([40 * index, 200 - 30 * index, 7 * index]);
        let image = image::RgbImage::from_pixel(32, 32, color);
        image.save(dir.join(format!("{index}.png"))).unwrap();
    }
}

fn write_lines(file: &Path, records: &[Value]) {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    fs::write(file, lines.join("\n")).unwrap();
}

/// The value of a metric that `vlp evaluate RUN --set ...` prints.
fn evaluate(run: &Path, set: &[&str], metric: &str) -> f64 {
    let mut command = vlp(&["evaluate"]);
    command.arg(run);
    set_values(&mut command, set);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().map(|line| line.split_whitespace());
    let line = lines.find_map(|mut words| (words.next() == Some(metric)).then(|| words.last()));
    let value = line
        .flatten()
        .unwrap_or_else(|| panic!("no {metric}: {text}"));
    value.parse().unwrap()
}

#[test]
fn retrieval_counts_an_image_with_several_samples_once() {
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path());
    let record = |index: usize| json!({"image": format!("{}.png", index % 6), "caption": format!("a red circle {index}")});
    // Two records of each image, and a repeated caption.
    let mut records: Vec<Value> = (0..12).map(record).collect();
    records.push(record(3));
    let file = folder.path().join("own.jsonl");
    write_lines(&file, &records);
    let run = folder.path().join("run");
    succeed(&mut soho_command(
        &run,
        &["train.steps=1", "train.schedule.warmup_steps=1"],
    ));
    let source = format!("data.source=json:{}", file.display());
    let validation = format!("data.validation=json:{}", file.display());
    let pairs = |set: &[&str]| {
        let set = [&[source.as_str(), &validation], set].concat();
        evaluate(&run, &set, "retrieval/pairs_encoded")
    };
    assert_eq!(pairs(&["eval.retrieval=13"]), 36.0);
    assert_eq!(
        pairs(&["eval.retrieval=13", "eval.retrieval_texts=5"]),
        72.0
    );
    assert_eq!(
        pairs(&["eval.retrieval=4", "eval.retrieval_texts=2", "eval.folds=2"]),
        8.0
    );
}

#[test]
fn nlvr2_statements_with_any_identifiers_are_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path());
    let ids = [
        json!("one"),
        json!(17),
        json!("dev-1-0-0"),
        json!("dev-1-1-0"),
        json!(null),
        json!(null),
    ];
    let records: Vec<Value> = (0..6)
        .zip(ids)
        .map(|(index, id)| json!({"image": format!("{index}.png"), "image2": format!("{}.png", (index + 1) % 6), "caption": "both are red", "label": true, "id": id}))
        .collect();
    let file = folder.path().join("own.jsonl");
    write_lines(&file, &records);
    let (run, tuned) = (folder.path().join("run"), folder.path().join("tuned"));
    succeed(&mut soho_command(
        &run,
        &["train.steps=1", "train.schedule.warmup_steps=1"],
    ));
    let mut finetune = vlp(&["finetune", "nlvr2", "--from"]);
    finetune.arg(&run).arg("--out").arg(&tuned);
    let set = [
        "train.steps=1",
        "train.schedule.warmup_steps=1",
        "data.batch_size=4",
    ];
    set_values(&mut finetune, &set);
    succeed(&mut finetune);
    let source = format!("data.source=json:{}", file.display());
    let validation = format!("data.validation=json:{}", file.display());
    let set = [source.as_str(), &validation, "eval.examples=6"];
    let results = folder.path().join("results");
    let mut command = vlp(&["evaluate"]);
    command.arg(&tuned).arg("--results").arg(&results);
    set_values(&mut command, &set);
    succeed(&mut command);
    let lines = fs::read_to_string(results.join("nlvr2.csv")).unwrap();
    assert_eq!(lines.lines().count(), 6, "{lines}");
}

#[test]
fn run_is_not_resumed_with_other_classes() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, run) = (folder.path().join("data"), folder.path().join("run"));
    write_scenes(&dir, Split::Train, 20);
    let source = format!("data.source=coco:{}", dir.display());
    succeed(tiny(&run, &[&source]).args(["--stop-at", "2"]));
    let file = dir.join("annotations/instances_train.json");
    let original = fs::read(&file).unwrap();
    let mut instances: Value = serde_json::from_slice(&original).unwrap();
    instances["categories"].as_array_mut().unwrap().reverse();
    fs::write(&file, instances.to_string()).unwrap();
    let line = fail(&mut resume(&run));
    assert!(line.contains("classes of the data have changed"), "{line}");
    fs::write(&file, original).unwrap();
    succeed(&mut resume(&run));
}

#[test]
fn checkpoints_that_are_not_evaluated_are_mentioned() {
    let folder = tempfile::tempdir().unwrap();
    let note = "only the last of the checkpoints is evaluated";
    for (name, set, is_noted) in [
        ("none", ["eval.every=0", "checkpoint.every=2"], true),
        ("other", ["eval.every=3", "checkpoint.every=2"], true),
        ("same", ["eval.every=2", "checkpoint.every=2"], false),
        ("single", ["eval.every=0", "checkpoint.every=0"], false),
    ] {
        let text = succeed(&mut tiny(&folder.path().join(name), &set));
        assert_eq!(text.contains(note), is_noted, "{name}: {text}");
    }
}

#[test]
fn optimizer_group_without_parameters_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let group = r#"train.optimizer.groups=[{pattern = "^model\\.bakcbone\\.", learning_rate = 1e-5, weight_decay = 0.0, kind = {rule = "adamw"}}]"#;
    let line = fail(&mut tiny(&folder.path().join("run"), &[group]));
    assert!(
        line.contains("bakcbone") && line.contains("matches no parameter"),
        "{line}"
    );
}

#[test]
fn scenes_do_not_overwrite_a_split() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = |split: &str| {
        let mut command = vlp(&["scenes", "--count", "2", "--split", split, "--out"]);
        command.arg(folder.path());
        command
    };
    succeed(&mut scenes("train"));
    succeed(&mut scenes("val"));
    let file = folder.path().join("annotations/captions_train.json");
    let before = fs::read(&file).unwrap();
    let line = fail(scenes("train").args(["--set", "data.scenes.seed=3"]));
    assert!(line.contains("captions_train.json exists"), "{line}");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn data_check_fails_without_samples_and_counts_repeated_images() {
    let folder = tempfile::tempdir().unwrap();
    write_images(folder.path());
    let check = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        fail(vlp(&["data", "check"]).arg(format!("json:{}", file.display())))
    };
    assert!(check("empty.json", "[]").contains("no samples"));
    fs::copy(folder.path().join("0.png"), folder.path().join("copy.png")).unwrap();
    let records = ["0.png", "copy.png"].map(|image| json!({"image": image, "caption": "a dog"}));
    let line = check("twice.json", &json!(records).to_string());
    assert!(line.ends_with("twice.json: 1 repeated images"), "{line}");
    assert!(check("marked.json", "\u{feff}[]").contains("no samples"));
}

#[cfg(unix)]
#[test]
fn configuration_is_read_from_a_pipe() {
    use std::io::Write;
    use std::process::Stdio;

    let mut command = vlp(&["config", "show", "--config", "/dev/stdin"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"[train]\nsteps = 77\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("steps = 77"), "{text}");
}

#[test]
fn run_is_evaluated_on_another_split_with_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, run) = (folder.path().join("data"), folder.path().join("run"));
    for split in [Split::Train, Split::Val] {
        write_scenes(&dir, split, 20);
    }
    let source = |split: &str| format!("coco:{}@{split}", dir.display());
    succeed(&mut tiny(
        &run,
        &[&format!("data.source={}", source("train"))],
    ));
    let evaluate = |split: &str| {
        let mut command = vlp(&["evaluate"]);
        command.arg(&run).args(["--data", &source(split)]);
        command
    };
    // All of another source is evaluated.
    let all = succeed(evaluate("val").args(["--set", "eval.examples=30"]));
    assert!(all.contains("evaluated: 20 of 20 examples\n"), "{all}");
    let some = succeed(evaluate("val").args(["--set", "eval.examples=7"]));
    let hint = "evaluated: 7 of 20 examples; --set eval.examples=20 evaluates all";
    assert!(some.contains(hint), "{some}");
    let part = [
        "--set",
        "eval.examples=30",
        "--set",
        "data.validation_fraction=0.5",
    ];
    let part = succeed(evaluate("val").args(part));
    assert!(!part.contains("of 20"), "{part}");
    let image = fs::read_dir(dir.join("val")).unwrap().next().unwrap();
    let image = image.unwrap().path();
    fs::rename(&image, folder.path().join("missing")).unwrap();
    let incomplete = succeed(evaluate("val").args(["--set", "eval.examples=30"]));
    let name = image.file_name().unwrap().to_string_lossy();
    assert!(
        incomplete.contains("note: ")
            && incomplete.contains(&*name)
            && incomplete.contains("evaluated: 19 of 19 examples"),
        "{incomplete}"
    );
    fs::rename(folder.path().join("missing"), &image).unwrap();
    let file = dir.join("annotations/instances_val.json");
    let mut instances: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    instances["categories"][0]["name"] = json!("another");
    fs::write(&file, instances.to_string()).unwrap();
    let line = fail(&mut evaluate("val"));
    assert!(line.contains("other classes"), "{line}");
}

#[test]
fn result_files_of_a_mixture_have_the_image_ids_of_its_data_sets() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut tiny(&run, &[]));
    for (name, seed) in [("data", 1), ("others", 2)] {
        let scenes = ScenesConfig::default().with_resolution(32).with_count(20);
        let scenes = Scenes::new(scenes.with_seed(seed)).unwrap();
        scenes.write_to(folder.path().join(name)).unwrap();
    }
    let source = |kind: &str, path: &str| format!("{kind}:{}", folder.path().join(path).display());
    let image_ids = |name: &str, mix: &str| {
        let out = folder.path().join(name);
        let mut command = vlp(&["evaluate"]);
        command.arg(&run).arg("--results").arg(&out);
        let mix = format!("data.mix=[{{source=\"{mix}\", boxes=false}}]");
        let source = format!("data.source={}", source("coco", "data"));
        let half = "data.validation_fraction=0.5";
        set_values(&mut command, &[&source, &mix, half, "eval.examples=40"]);
        let text = succeed(&mut command);
        let captions = fs::read(out.join("captions.json")).unwrap();
        let captions: Vec<Value> = serde_json::from_slice(&captions).unwrap();
        let ids = captions.iter().map(|c| c["image_id"].as_u64().unwrap());
        (ids.collect::<Vec<u64>>(), text)
    };
    // Questions about the same images.
    let (ids, text) = image_ids("same", &source("vqa", "data/vqa@train"));
    assert!(
        !ids.is_empty() && ids.iter().all(|&id| id < 20) && !text.contains("several data sets"),
        "{ids:?} {text}"
    );
    // The same images with ids of their own.
    let copy = |id: usize| json!({"image": format!("{id:012}.png"), "caption": "a copy", "image_id": 1000 + id, "coco_id": id});
    let copies: Vec<Value> = (0..20).map(copy).collect();
    write_lines(&folder.path().join("data/train/copies.jsonl"), &copies);
    let (ids, text) = image_ids("copies", &source("json", "data/train/copies.jsonl"));
    assert!(
        !ids.is_empty() && ids.iter().all(|&id| id < 20) && !text.contains("several data sets"),
        "{ids:?} {text}"
    );
    // Other images with the same ids.
    let (ids, text) = image_ids("other", &source("coco", "others"));
    assert!(
        ids.iter().any(|&id| id >= 20) && text.contains("note: images of several data sets"),
        "{ids:?} {text}"
    );
}
