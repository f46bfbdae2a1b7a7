//! Boxes of two sets of classes in one run, as of COCO and Visual Genome.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vlp_scenes::Split;

use crate::support::{fail, hashes, resume, set_values, succeed, tiny, vlp, write_scenes};

/// Scenes in COCO's format, and images with boxes of other classes and attributes, as JSON lines. Returns the two sources.
fn write_sources(dir: &Path) -> [String; 2] {
    let scenes = dir.join("scenes");
    write_scenes(&scenes, Split::Train, 12);
    let record = |index: u8| {
        let (name, side) = (format!("{index}.png"), 8.0 + f64::from(index));
        let color = image::Rgb([20 * index, 200, 7 * index]);
        let image = image::RgbImage::from_pixel(32, 32, color);
        image.save(dir.join(&name)).unwrap();
        let boxes = [
            json!({"bbox": [0, 0, side, side], "label": "leaf", "attributes": ["green"]}),
            json!({"bbox": [12, 12, 32, 32], "label": "stone"}),
        ];
        json!({"image": name, "caption": "a red circle", "boxes": boxes, "image_id": 500 + u64::from(index)})
    };
    let lines: Vec<String> = (0..12).map(|index| record(index).to_string()).collect();
    let file = dir.join("own.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    [
        format!("coco:{}", scenes.display()),
        format!("json:{}", file.display()),
    ]
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn each_label_space_has_a_head_metrics_result_files_and_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [scenes, outdoors] = write_sources(folder.path());
    let set = [
        format!("data.source={scenes}"),
        format!("data.mix=[{{source=\"{outdoors}\", boxes=true}}]"),
        "data.validation_fraction=0.4".to_owned(),
        "eval.examples=24".to_owned(),
        "checkpoint.every=2".to_owned(),
    ];
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let (run, stopped) = (path("run"), path("stopped"));
    succeed(&mut tiny(&run, &set));
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("detection has a class head for each of"));
    assert!(!report.contains("its metrics have no values"));
    let vocabulary = read(&run.join("vocabulary.json"));
    let spaces = vocabulary["label_spaces"].as_array().unwrap();
    let names: Vec<&str> = spaces.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(spaces.len(), 2);
    assert_eq!(spaces[1]["classes"], json!(["leaf", "stone"]));

    // A run that was stopped goes on with the same bits.
    succeed(tiny(&stopped, &set).args(["--stop-at", "2"]));
    succeed(&mut resume(&stopped));
    assert_eq!(hashes(&run), hashes(&stopped));

    // Metrics and detections of both, each in its own classes.
    let metrics = read(&run.join("results.json"))["trained"].to_string();
    let second = format!("detection/{}/ap", names[1]);
    assert!(
        metrics.contains("\"detection/ap\"") && metrics.contains(&second),
        "{metrics}"
    );
    let results = path("results");
    succeed(vlp(&["evaluate"]).arg(&run).arg("--results").arg(&results));
    let categories = |file: &str| -> Vec<u64> {
        let detections = read(&results.join(file));
        let detections = detections.as_array().unwrap().iter();
        let mut ids: Vec<u64> = detections
            .map(|detection| detection["category_id"].as_u64().unwrap())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let shapes = spaces[0]["classes"].as_array().unwrap().len() as u64;
    let of_first = categories("detections.json");
    assert!(
        !of_first.is_empty() && of_first.iter().all(|id| *id <= shapes),
        "{of_first:?}"
    );
    let files = fs::read_dir(&results).unwrap();
    let mut files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let file = files.find(|name| name.starts_with("detections-")).unwrap();
    let of_second = categories(&file);
    assert!(
        !of_second.is_empty() && of_second.iter().all(|id| [1, 2].contains(id)),
        "{of_second:?}"
    );

    // One data set alone has the metrics of its head, whichever it is.
    let output = vlp(&["evaluate"])
        .arg(&run)
        .args(["--data", &outdoors])
        .output();
    let output = output.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains(&second), "{text}");

    let predicted = |name: Option<&str>, out: &str| {
        let mut command = vlp(&["predict"]);
        command.arg(&run).arg(path("3.png"));
        command.args(["--threshold", "0", "--out"]).arg(path(out));
        if let Some(name) = name {
            command.args(["--label-space", name]);
        }
        command
    };
    for (index, name) in [None, Some(names[1])].into_iter().enumerate() {
        let out = format!("predictions-{index}");
        succeed(&mut predicted(name, &out));
        let predictions = read(&path(&out).join("predictions.json"));
        let objects = predictions.pointer("/0/objects").unwrap();
        let objects = objects.as_array().unwrap();
        let classes = spaces[index]["classes"].as_array().unwrap();
        assert!(!objects.is_empty());
        assert!(objects.iter().all(|o| classes.contains(&o["class"])));
    }
    let line = fail(&mut predicted(Some("coco"), "none"));
    assert!(
        line.contains("label space \"coco\"") && line.contains(names[1]),
        "{line}"
    );

    // The head of the second label space is found by its classes, in whichever order. A data set with other classes has a new
    // one.
    let reversed = path("reversed.jsonl");
    let lines = fs::read_to_string(path("own.jsonl")).unwrap();
    let reverse = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        record["boxes"].as_array_mut().unwrap().reverse();
        record.to_string()
    };
    let lines: Vec<String> = lines.lines().map(reverse).collect();
    fs::write(&reversed, lines.join("\n")).unwrap();
    let reversed = format!("json:{}", reversed.display());
    let others = path("others.jsonl");
    let lines = fs::read_to_string(path("own.jsonl")).unwrap();
    fs::write(&others, lines.replace("stone", "pebble")).unwrap();
    let others = format!("json:{}", others.display());
    for (out, source, is_new) in [
        ("tuned", outdoors, false),
        ("reversed", reversed, false),
        ("new", others, true),
    ] {
        let mut command = vlp(&["finetune", "detection", "--from"]);
        command.arg(&run).arg("--out").arg(path(out));
        let source = format!("data.source={source}");
        let set = [
            source.as_str(),
            "data.validation_fraction=0.4",
            "train.steps=1",
            "train.schedule.warmup_steps=1",
            "eval.examples=4",
        ];
        set_values(&mut command, &set);
        succeed(&mut command);
        let report = fs::read_to_string(path(out).join("report.html")).unwrap();
        let note = "randomly initialized: objectives.detection.heads.0.";
        assert_eq!(report.contains(note), is_new);
    }
}
