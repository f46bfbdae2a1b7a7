//! Classes of training and validation data.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::json;
use vlp_data::LabelSpace;
use vlp_scenes::{Scenes, ScenesConfig};

use super::{Datasets, load_tokenizer};
use crate::VlpError;
use crate::config::{RunConfig, Sources, resolve};

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

fn config(set: &[String]) -> Result<RunConfig, VlpError> {
    resolve(&Sources {
        set: set.to_vec(),
        ..Sources::default()
    })
}

fn open(set: &[String], trained: &[LabelSpace]) -> Result<Datasets, VlpError> {
    let config = config(set)?;
    let tokenizer = load_tokenizer(&config.data.tokenizer)?;
    Datasets::open_with_labels(&config, tokenizer, trained)
}

/// The caption of each validation sample and the name of the class of its box.
fn classes(data: &Datasets) -> Vec<(String, Option<String>)> {
    let samples = (0..data.validation.len()).map(|index| {
        let sample = data.validation.load(index).unwrap();
        let objects = sample.objects.unwrap_or_default();
        let labels = &data.label_spaces[data.validation.label_space(index)];
        let class = |object: &vlp_data::Object| labels.classes[object.class].clone();
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
    for trained in [&[], std::slice::from_ref(&trained), &[]] {
        let data = open(&set, trained).unwrap();
        assert_eq!(classes(&data), expected);
        let names = [["dog", "cat"], ["cat", "dog"]][trained.len()];
        assert_eq!(data.label_spaces[0].classes, names);
        assert!(data.notes.iter().any(|note| note.contains("bird")));
    }
    // Nobody reads the classes.
    set.push("objectives.detection=off".into());
    let notes = open(&set, &[trained]).unwrap().notes;
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
        let message = open(&set, &[]).unwrap_err().to_string();
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
    let data = open(&set, &[]).unwrap();
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
        open(&set, &[]).unwrap().answers.answers(),
        ["net", "pitcher"]
    );
    set.pop();
    assert!(open(&set, &[]).unwrap().answers.index("net").is_none());
    set.push("data.answers=missing.json".to_owned());
    let message = open(&set, &[]).unwrap_err().to_string();
    assert!(message.contains("data.answers: missing.json"), "{message}");
}

/// As for COCO and Visual Genome in one run.
#[test]
fn sources_with_other_classes_are_mixed_with_their_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name, classes: &[&str]| write_classes(folder.path(), name, classes);
    let animals = write("animals", &["dog", "cat"]);
    let fruit = write("fruit", &["apple", "dog", "pear"]);
    // The same classes as those of the first, occurring in another order.
    let permuted = write("permuted", &["cat", "dog"]);
    let mix = |spec: &str| format!("{{source = \"{spec}\", boxes = true}}");
    let set = [
        format!("data.source={animals}"),
        format!("data.mix=[{}, {}]", mix(&fruit), mix(&permuted)),
        format!("data.validation={fruit}"),
    ];
    let data = open(&set, &[]).unwrap();
    let spaces: Vec<&[String]> = (data.label_spaces.iter())
        .map(|space| space.classes.as_slice())
        .collect();
    assert_eq!(spaces, [&["dog", "cat"][..], &["apple", "dog", "pear"]]);
    assert!(
        data.notes
            .iter()
            .any(|note| note.contains("a class head for each of"))
    );
    // Every box has the class that its caption names.
    let named = |class: &str| (class.to_owned(), Some(class.to_owned()));
    assert_eq!(classes(&data), ["apple", "dog", "pear"].map(named));
    for index in 0..data.train.len() {
        let sample = data.train.load(index).unwrap();
        let labels = &data.label_spaces[data.train.label_space(index)];
        let object = &sample.objects.unwrap()[0];
        assert_eq!(labels.classes[object.class], sample.captions[0]);
    }
    // A model that numbers the label spaces otherwise.
    let trained: Vec<LabelSpace> = data.label_spaces.iter().rev().cloned().collect();
    let config = config(&set).unwrap();
    let tokenizer = load_tokenizer(&config.data.tokenizer).unwrap();
    let data = Datasets::open_for_evaluation(&config, false, tokenizer, &trained).unwrap();
    assert_eq!(data.label_spaces, trained);
    assert_eq!(data.validation.label_space(0), 0);
    assert_eq!(classes(&data), ["apple", "dog", "pear"].map(named));
}

#[test]
fn a_source_has_the_numbers_of_the_label_space_with_its_classes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name, classes: &[&str]| write_classes(folder.path(), name, classes);
    let space = |classes: &[&str]| LabelSpace {
        name: classes.join("-"),
        classes: classes.iter().map(|class| (*class).into()).collect(),
        ..LabelSpace::default()
    };
    let (few, more) = (space(&["dog", "cat"]), space(&["cat", "dog", "horse"]));
    // Of three classes in another order, and of one that both label spaces have.
    let sources = [
        (write("few", &["dog", "cat"]), &few),
        (write("more", &["horse", "dog", "cat"]), &more),
        (write("one", &["cat"]), &few),
    ];
    for trained in [[few.clone(), more.clone()], [more.clone(), few.clone()]] {
        for (source, expected) in &sources {
            let set = [
                format!("data.source={source}"),
                format!("data.validation={source}"),
            ];
            let data = open(&set, &trained).unwrap();
            let expected = match source.contains("one") {
                true => &trained[0].classes,
                false => &expected.classes,
            };
            assert_eq!(&data.label_spaces[0].classes, expected, "{source}");
            for (caption, class) in classes(&data) {
                assert_eq!(class, Some(caption));
            }
        }
    }
}
