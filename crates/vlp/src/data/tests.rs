//! Classes of training and validation data.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::json;
use vlp_data::LabelSpace;
use vlp_scenes::{Scenes, ScenesConfig};

use super::{Datasets, load_tokenizer};
use crate::VlpError;
use crate::config::{Sources, resolve};

/// An image with a box for each class, as JSON lines. Returns the source.
fn write_classes(folder: &Path, name: &str, classes: &[&str]) -> String {
    let lines = classes.iter().map(|class| {
        let image = format!("{name}-{class}.png");
        let file = folder.join(&image);
        image::RgbImage::new(8, 8).save(file).unwrap();
        let boxes = [json!({"bbox": [0, 0, 4, 4], "label": class})];
        format!(
            "{}\n",
            json!({"image": image, "caption": class, "boxes": boxes})
        )
    });
    let file = folder.join(name).with_extension("jsonl");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    format!("json:{}", file.display())
}

fn open(set: &[String], labels: Option<&LabelSpace>) -> Result<Datasets, VlpError> {
    let sources = Sources {
        set: set.to_vec(),
        ..Sources::default()
    };
    let config = resolve(&sources)?;
    let tokenizer = load_tokenizer(&config.data.tokenizer)?;
    Datasets::open_with_labels(&config, tokenizer, labels)
}

/// The caption of each validation sample and the name of the class of its box.
fn classes(data: &Datasets) -> Vec<(String, Option<String>)> {
    let samples = (0..data.validation.len()).map(|index| {
        let sample = data.validation.load(index).unwrap();
        let objects = sample.objects.unwrap_or_default();
        let class = |object: &vlp_data::Object| data.labels.classes[object.class].clone();
        (sample.captions[0].clone(), objects.first().map(class))
    });
    samples.collect()
}

#[test]
fn validation_samples_have_the_classes_of_the_training_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let train = write_classes(path, "train", &["dog", "cat"]);
    let test = write_classes(path, "test", &["cat", "bird", "dog"]);
    let cache = path.join("cache");
    let mut set = vec![
        format!("data.source={train}"),
        format!("data.validation={test}"),
        format!("data.index={}", cache.display()),
    ];
    // A class that the model does not have is left out.
    let expected = [("cat", Some("cat")), ("bird", None), ("dog", Some("dog"))]
        .map(|(caption, class)| (caption.to_owned(), class.map(str::to_owned)));
    let trained = LabelSpace {
        classes: vec!["cat".into(), "dog".into()],
        ..LabelSpace::default()
    };
    // A second time from the cache.
    for labels in [None, Some(&trained), None] {
        let data = open(&set, labels).unwrap();
        assert_eq!(classes(&data), expected);
        let names = labels.map_or(vec!["dog", "cat"], |_| vec!["cat", "dog"]);
        assert_eq!(data.labels.classes, names);
        assert!(data.notes.iter().any(|note| note.contains("bird")));
    }
    // Nobody reads the classes.
    set.push("objectives.detection=off".into());
    let notes = open(&set, Some(&trained)).unwrap().notes;
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn validation_source_that_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let train = write_classes(path, "train", &["dog", "cat"]);
    let scenes = ScenesConfig::default().with_count(2);
    Scenes::new(scenes).unwrap().write_to(path).unwrap();
    std::fs::write(path.join("empty.json"), "[]").unwrap();
    for (validation, part) in [
        (
            format!("coco:{}", path.display()),
            "its classes or attributes",
        ),
        (
            format!("json:{}/empty.json", path.display()),
            "has no images",
        ),
    ] {
        let entry = format!("data.validation={validation}");
        let set = [format!("data.source={train}"), entry];
        let message = open(&set, None).unwrap_err().to_string();
        let start = format!("data.validation = \"{validation}\"");
        assert!(
            message.starts_with(&start) && message.contains(part),
            "{message}"
        );
    }
}

#[test]
fn source_is_read_without_the_folder_of_its_cache() {
    let folder = tempfile::tempdir().unwrap();
    let source = write_classes(folder.path(), "train", &["dog", "cat"]);
    // Below a file no folder can be made.
    let cache = folder.path().join("train.jsonl/cache");
    let set = [
        format!("data.source={source}"),
        format!("data.validation={source}"),
        format!("data.index={}", cache.display()),
    ];
    let data = open(&set, None).unwrap();
    assert_eq!((data.train.len(), data.validation.len()), (2, 2));
    let is_noted = |note: &String| note.contains("not cached in data.index");
    assert!(data.notes.iter().any(is_noted), "{:?}", data.notes);
}

#[test]
fn answers_are_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trainval_label2ans.json");
    std::fs::write(&file, r#"["net", "pitcher"]"#).unwrap();
    let mut set = vec![
        "data.task=vqa".to_owned(),
        "data.scenes.count=8".to_owned(),
        format!("data.answers={}", file.display()),
    ];
    assert_eq!(
        open(&set, None).unwrap().answers.answers(),
        ["net", "pitcher"]
    );
    set.pop();
    assert!(open(&set, None).unwrap().answers.index("net").is_none());
    set.push("data.answers=missing.json".to_owned());
    let message = open(&set, None).unwrap_err().to_string();
    assert!(message.contains("data.answers: missing.json"), "{message}");
}
