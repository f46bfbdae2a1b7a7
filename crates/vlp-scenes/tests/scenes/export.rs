//! The files written by `Scenes::write_to`, read back by the readers of vlp-data.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use vlp_data::{
    Limits, Sample, Source, decode_image,
    read::{CocoFiles, SnliVeText, VqaFiles, coco, nlvr2, snli_ve, vqa},
};
use vlp_scenes::{Color, Scenes, ScenesConfig, ScenesTask, Shape, Split, Task};

fn config(count: usize) -> ScenesConfig {
    ScenesConfig::default()
        .with_count(count)
        .with_resolution(32)
        .with_split(Split::Val)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn coco_files_are_read_back_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = ScenesConfig::default()
        .with_split(Split::Val)
        .with_count(40);
    let scenes = Scenes::new(config).unwrap();
    scenes.write_to(dir.path()).unwrap();
    let coco = coco(
        &CocoFiles::find(dir.path(), None).unwrap(),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(coco.report().skipped_records, []);
    assert_eq!((coco.len(), coco.report().captions), (40, 200));
    assert_eq!(coco.labels().classes, scenes.labels().classes);
    assert_eq!(coco.labels().attributes, scenes.labels().attributes);
    assert_eq!(coco.labels().ids[0], 1);
    for index in 0..40 {
        let (written, read) = (scenes.load(index).unwrap(), coco.load(index).unwrap());
        assert_eq!(
            (read.key, &read.image, &read.captions),
            (written.key, &written.image, &written.captions)
        );
        assert_eq!(coco.size(index), (64, 64));
        let (written, read) = (written.objects.unwrap(), read.objects.unwrap());
        assert_eq!(written.len(), read.len());
        for (written, read) in written.iter().zip(&read) {
            assert_eq!(
                (written.class, &written.attributes),
                (read.class, &read.attributes)
            );
            for (a, b) in written.bbox.iter().zip(read.bbox) {
                // Computed as x + width in f64 and rounded to f32.
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }
}

#[test]
fn vqa_nlvr2_and_snli_ve_files_have_the_official_fields() {
    let dir = tempfile::tempdir().unwrap();
    for split in [Split::Train, Split::Test] {
        let config = ScenesConfig::default()
            .with_split(split)
            .with_count(24)
            .with_resolution(32);
        Scenes::new(config).unwrap().write_to(dir.path()).unwrap();
    }
    let vqa = dir.path().join("vqa");
    let questions = read_json(&vqa.join("v2_OpenEnded_mscoco_train_questions.json"));
    let annotations = read_json(&vqa.join("v2_mscoco_train_annotations.json"));
    let (questions, annotations) = (
        questions["questions"].as_array().unwrap(),
        annotations["annotations"].as_array().unwrap(),
    );
    assert_eq!(questions.len(), annotations.len());
    assert!(questions.len() >= 24 * 3);
    for (question, annotation) in questions.iter().zip(annotations) {
        assert_eq!(question["question_id"], annotation["question_id"]);
        assert_eq!(annotation["answers"].as_array().unwrap().len(), 10);
        assert!(
            ["yes/no", "number", "other"].contains(&annotation["answer_type"].as_str().unwrap())
        );
        assert_eq!(annotation["answers"][9]["answer_id"], 10);
    }

    for (split, folder) in [("train", "train/0"), ("test1", "test1")] {
        let lines = fs::read_to_string(dir.path().join(format!("nlvr2/{split}.json"))).unwrap();
        let mut truths = 0;
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let identifier = line["identifier"].as_str().unwrap();
            let pair = identifier.strip_suffix("-0").unwrap();
            assert_eq!(identifier.split('-').count(), 4);
            truths += i32::from(line["label"] == "True") * 2 - 1;
            for number in 0..2 {
                let path = dir
                    .path()
                    .join(format!("nlvr2/images/{folder}/{pair}-img{number}.png"));
                assert!(path.is_file(), "{}", path.display());
            }
        }
        assert_eq!(truths, 0, "labels are not balanced");
    }

    let lines = fs::read_to_string(dir.path().join("snli_ve/snli_ve_test.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 72);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let image = format!(
            "snli_ve/flickr30k_images/{}.jpg",
            line["Flickr30K_ID"].as_str().unwrap()
        );
        let bytes = fs::read(dir.path().join(&image)).unwrap();
        let image = decode_image(&bytes, &image, &Limits::default()).unwrap();
        assert_eq!((image.width, image.height), (32, 32));
        assert_eq!(line["annotator_labels"].as_array().unwrap().len(), 5);
    }
}

fn samples_by_id(source: &dyn Source) -> BTreeMap<String, Sample> {
    (0..source.len())
        .map(|index| {
            let sample = source.load(index).unwrap();
            assert_eq!(source.label(index).unwrap(), sample.label);
            assert_eq!(source.captions(index).unwrap(), sample.captions);
            assert_eq!(source.key(index), sample.key);
            (sample.record.clone().unwrap().id, sample)
        })
        .collect()
}

#[test]
fn tasks_equal_the_written_files() {
    let dir = tempfile::tempdir().unwrap();
    Scenes::new(config(40))
        .unwrap()
        .write_to(dir.path())
        .unwrap();
    let limits = Limits::default();
    let questions = VqaFiles::find(dir.path().join("vqa"), "val").unwrap();
    let snli = dir.path().join("snli_ve");
    let nlvr = dir.path().join("nlvr2");
    let files = [
        (Task::Vqa, vqa(&questions, &limits).unwrap()),
        (
            Task::Nlvr2,
            nlvr2(nlvr.join("dev.json"), &nlvr, &limits).unwrap(),
        ),
        (
            Task::SnliVe,
            snli_ve(
                snli.join("snli_ve_dev.jsonl"),
                snli.join("flickr30k_images"),
                SnliVeText::default(),
                &limits,
            )
            .unwrap(),
        ),
    ];
    for (task, file) in files {
        assert_eq!(file.report().skipped_records, []);
        let source = ScenesTask::new(config(40), task).unwrap();
        let (generated, read) = (samples_by_id(&source), samples_by_id(&file));
        assert_eq!(
            generated.len(),
            source.len(),
            "{task:?}: ids are not unique"
        );
        assert!(read.len() >= generated.len());
        for (id, generated) in &generated {
            let read = &read[id];
            assert_eq!(
                (&generated.captions, &generated.label),
                (&read.captions, &read.label),
                "{id}"
            );
            assert_eq!(generated.record, read.record);
            assert_eq!(generated.second_image, read.second_image);
            if task == Task::SnliVe {
                // Images are stored as JPEG, and keys are the hashes of their names.
                assert_eq!(generated.image.width, read.image.width);
            } else {
                assert_eq!((generated.key, &generated.image), (read.key, &read.image));
            }
        }
        assert!(source.load(source.len()).is_err() && source.label(source.len()).is_err());
    }
}

/// Also those whose first attempt fails, as of similar scenes. A single scene has none.
#[test]
fn every_statement_of_the_task_is_written() {
    let similar = config(2)
        .with_min_objects(2)
        .with_max_objects(2)
        .with_shapes(vec![Shape::Circle, Shape::Square])
        .with_colors(vec![Color::Red]);
    let fails_once = |config: &ScenesConfig| {
        let scenes = Scenes::new(config.clone()).unwrap();
        scenes.statements(0).is_none() && ScenesTask::new(config.clone(), Task::Nlvr2).is_ok()
    };
    let mut configs = (0..1000).map(|seed| similar.clone().with_seed(seed));
    for (config, statements) in [(configs.find(fails_once).unwrap(), 2), (config(1), 0)] {
        let dir = tempfile::tempdir().unwrap();
        Scenes::new(config).unwrap().write_to(dir.path()).unwrap();
        let lines = fs::read_to_string(dir.path().join("nlvr2/dev.json")).unwrap();
        assert_eq!(lines.lines().count(), statements);
    }
}

/// Files by their path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.is_dir() {
            true => files.extend(
                self::files(&path)
                    .into_iter()
                    .map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            ),
            false => drop(files.insert(name.to_owned(), fs::read(&path).unwrap())),
        }
    }
    files
}

#[test]
fn a_split_is_added_to_a_folder_with_the_same_files_as_in_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let [both, val] = ["both", "val"].map(|name| dir.path().join(name));
    let train = config(5).with_split(Split::Train);
    Scenes::new(train).unwrap().write_to(&both).unwrap();
    let of_train = files(&both);
    let scenes = Scenes::new(config(5)).unwrap();
    scenes.write_to(&val).unwrap();
    let mut expected = files(&val);
    expected.extend(of_train);
    scenes.write_to(&both).unwrap();
    assert!(files(&both) == expected);
    // Once more, in its place.
    scenes.write_to(&both).unwrap();
    assert!(files(&both) == expected);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn files_of_others_are_not_replaced() {
    let scenes = Scenes::new(config(3)).unwrap();
    let image = format!("val/{}", scenes.load(1).unwrap().name);
    for name in [
        "annotations/instances_val.json",
        "nlvr2/dev.json",
        image.as_str(),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine").unwrap();
        let error = scenes.write_to(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("use another folder"),
            "{error}"
        );
        let left = files(dir.path());
        assert_eq!(left, [(name.to_owned(), b"mine".to_vec())].into());
    }
}

#[test]
fn a_file_that_cannot_be_written_leaves_no_annotations() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    let scenes = Scenes::new(config(3)).unwrap();
    // In the place of an image.
    let image = scenes.load(1).unwrap().name;
    fs::create_dir_all(set.join("val").join(&image)).unwrap();
    let error = scenes.write_to(&set).unwrap_err().to_string();
    assert!(error.contains(&image), "{error}");
    assert!(files(&set).keys().all(|path| !path.contains(".json")));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
