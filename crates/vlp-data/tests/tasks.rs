//! Downstream tasks: scenes against the files written of them, the vocabulary, held-out images and mixing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::Arc,
};

use proptest::prelude::*;
use serde_json::json;
use vlp_data::{
    AnswerVocabulary, DataError, HeldOut, Label, LabelSpace, Limits, Mix, Part, Picture, Removed,
    Sample, Scenes, ScenesConfig, ScenesTask, Source, Split, Subset, Task,
    read::{SnliVeText, VqaFiles, nlvr2, snli_ve, vqa},
};

fn config(count: usize) -> ScenesConfig {
    ScenesConfig {
        count,
        resolution: 32,
        split: Split::Val,
        ..ScenesConfig::default()
    }
}

fn by_record(source: &dyn Source) -> HashMap<String, Sample> {
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
fn tasks_over_scenes_equal_the_files_written_of_them() {
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
        assert_eq!(file.report().faults, []);
        let made = ScenesTask::new(config(40), task).unwrap();
        let (made_by, read_by) = (by_record(&made), by_record(&file));
        assert_eq!(made_by.len(), made.len(), "{task:?}: ids are unique");
        assert!(read_by.len() >= made_by.len());
        for (id, made) in &made_by {
            let read = &read_by[id];
            assert_eq!(
                (&made.captions, &made.label),
                (&read.captions, &read.label),
                "{id}"
            );
            assert_eq!(made.record, read.record);
            assert_eq!(made.second, read.second);
            if task == Task::SnliVe {
                // Written as JPEG, and named by its file there.
                assert_eq!(made.picture.width, read.picture.width);
            } else {
                assert_eq!((made.key, &made.picture), (read.key, &read.picture));
            }
        }
        assert!(made.load(made.len()).is_err() && made.label(made.len()).is_err());
    }
}

#[test]
fn a_task_is_made_without_making_all_of_it() {
    let started = ScenesTask::new(config(1_000_000_000), Task::Nlvr2).unwrap();
    assert_eq!(started.len(), 500_000_000);
    assert!(started.load(499_999_999).unwrap().second.is_some());
    let few = ScenesTask::new(config(1), Task::Nlvr2)
        .unwrap_err()
        .to_string();
    assert!(few.contains("scenes.count"), "{few}");
    let questions = ScenesTask::new(config(300), Task::Vqa).unwrap();
    let mut kinds = HashMap::new();
    for index in 0..questions.len() {
        let record = questions.load(index).unwrap().record.unwrap();
        *kinds.entry(record.question_type.unwrap()).or_insert(0) += 1;
        let Some(Label::Answers(answers)) = questions.label(index).unwrap() else {
            panic!("no answers");
        };
        assert!(answers.contains(&questions.consensus(index).unwrap()));
    }
    // Six kinds, a hundred each were every question always possible.
    assert!(
        kinds.len() == 6 && kinds.values().all(|&count| count > 40),
        "{kinds:?}"
    );
}

#[test]
fn the_vocabulary_follows_the_published_rule() {
    let normal = |text: &str| text.to_lowercase().trim_start_matches("a ").to_owned();
    let given = [
        "Yes", "yes", "no", "A cat", "cat", "cat", "a dog", "Dog", "two",
    ];
    let vocabulary = AnswerVocabulary::build(given, 2, normal);
    // By count, then by text; `no` and `two` are too few.
    assert_eq!(vocabulary.answers(), ["cat", "dog", "yes"]);
    assert_eq!(
        (vocabulary.number("dog"), vocabulary.number("Dog")),
        (Some(1), None)
    );
    let answers = |counts: &[(&str, usize)]| -> Vec<String> {
        counts
            .iter()
            .flat_map(|(text, n)| vec![(*text).to_owned(); *n])
            .collect()
    };
    type Given = &'static [(&'static str, usize)];
    type Scores = &'static [(usize, f32)];
    let cases: [(Given, Scores); 6] = [
        (&[("cat", 10)], &[(0, 1.0)]),
        (
            &[("cat", 4), ("dog", 3), ("yes", 2), ("no", 1)],
            &[(0, 1.0), (1, 0.9), (2, 0.6)],
        ),
        (&[("yes", 1), ("dog", 9)], &[(1, 1.0), (2, 0.3)]),
        // The raw string quirk: a normalised answer is not counted.
        (&[("Cat", 9), ("cat", 1)], &[(0, 0.3)]),
        (&[("no", 10)], &[]),
        (&[], &[]),
    ];
    for (given, expected) in cases {
        assert_eq!(vocabulary.scores(&answers(given)), expected, "{given:?}");
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("answers.json");
    vocabulary.write(&path).unwrap();
    assert_eq!(AnswerVocabulary::read(&path).unwrap(), vocabulary);
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        written,
        json!({ "ans2label": { "cat": 0, "dog": 1, "yes": 2 }, "label2ans": ["cat", "dog", "yes"] })
    );
    for (text, expected) in [
        ("[]", "label2ans"),
        (r#"{"ans2label": {"a": 1}, "label2ans": ["a"]}"#, "inverse"),
        (
            r#"{"ans2label": {"a": 0}, "label2ans": ["a", "a"]}"#,
            "inverse",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let error = AnswerVocabulary::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    let questions: Arc<dyn Source> = Arc::new(ScenesTask::new(config(50), Task::Vqa).unwrap());
    let yes = AnswerVocabulary::build(["yes", "no"], 1, str::to_owned);
    let (kept, left_out) = yes.answerable(&questions).unwrap();
    assert!(kept.len() + left_out == 100 && !kept.is_empty() && left_out > 0);
    assert!((0..kept.len()).all(|index| kept.captions(index).unwrap()[0].starts_with("is ")));
}

/// A source of given keys and COCO ids.
struct Keyed {
    name: String,
    keys: Vec<u64>,
    coco: bool,
    labels: LabelSpace,
}

fn keyed(
    name: &str,
    keys: impl IntoIterator<Item = u64>,
    coco: bool,
    classes: &[&str],
) -> Arc<dyn Source> {
    Arc::new(Keyed {
        name: name.into(),
        keys: keys.into_iter().collect(),
        coco,
        labels: LabelSpace {
            name: name.into(),
            classes: classes.iter().map(|c| (*c).to_owned()).collect(),
            attributes: vec![],
            ids: vec![],
        },
    })
}

impl Source for Keyed {
    fn name(&self) -> &str {
        &self.name
    }
    fn len(&self) -> usize {
        self.keys.len()
    }
    fn labels(&self) -> &LabelSpace {
        &self.labels
    }
    fn key(&self, index: usize) -> u64 {
        self.keys[index]
    }
    fn size(&self, _: usize) -> (usize, usize) {
        (2, 3)
    }
    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(vec![format!("{} {}", self.name, self.keys[index])])
    }
    fn coco_id(&self, index: usize) -> Option<u64> {
        self.coco.then(|| self.keys[index])
    }
    fn load(&self, index: usize) -> Result<Sample, DataError> {
        Ok(Sample {
            key: self.key(index),
            name: self.name.clone(),
            picture: Picture::filled(2, 3, [1; 3]),
            second: None,
            captions: self.captions(index)?,
            objects: Some(vec![]),
            label: Some(Label::Truth(true)),
            record: None,
        })
    }
}

#[test]
fn held_out_images_are_removed_from_any_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dataset_coco.json");
    let image = |id: u64, split: &str| json!({ "cocoid": id, "filename": "x.jpg", "split": split, "sentences": [] });
    let images = [
        image(1, "train"),
        image(2, "val"),
        image(3, "test"),
        image(4, "restval"),
    ];
    fs::write(&path, json!({ "images": images }).to_string()).unwrap();
    let held = HeldOut::from_karpathy(&path).unwrap();
    assert!(held.len() == 2 && held.contains(2) && !held.contains(4));
    let source = keyed("coco", [3, 1, 2, 3, 9], true, &[]);
    let (kept, removed) = held.remove(&source).unwrap();
    assert_eq!(kept.indices(), [1, 4]);
    assert_eq!(
        removed,
        Removed {
            samples: 3,
            images: 2,
            unknown: 0
        }
    );
    // Also behind other sources.
    let part: Arc<dyn Source> = Arc::new(Subset::new(source, vec![0, 1], "part").unwrap());
    let mix: Arc<dyn Source> = Arc::new(
        Mix::new(
            vec![Part::new(part), Part::new(keyed("other", 0..9, false, &[]))],
            "mix",
        )
        .unwrap(),
    );
    let (kept, removed) = held.remove(&mix).unwrap();
    assert_eq!(
        (kept.len(), removed),
        (
            10,
            Removed {
                samples: 1,
                images: 1,
                unknown: 9
            }
        )
    );
    // An image that cannot be read might be one that leaks.
    for wrong in [json!({ "split": "val" }), json!({ "cocoid": 7 }), json!(3)] {
        fs::write(
            &path,
            json!({ "images": [image(1, "val"), wrong] }).to_string(),
        )
        .unwrap();
        let error = HeldOut::from_karpathy(&path).unwrap_err().to_string();
        assert!(error.contains("image number 2"), "{error}");
    }
}

#[test]
fn a_mix_keeps_images_and_labels_apart() {
    let part = |source, weight, images: &str, boxes| Part {
        source,
        weight,
        images: images.into(),
        boxes,
    };
    let dogs = || keyed("dogs", 0..10, true, &["dog"]);
    let cats = keyed("cats", 0..10, false, &["cat"]);
    let plain = keyed("plain", 0..10, false, &[]);
    let parts = vec![
        part(dogs(), 2.5, "coco", true),
        part(cats.clone(), 0.5, "cats", false),
        part(plain, 1.0, "coco", true),
    ];
    let mix = Mix::new(parts, "mix").unwrap();
    assert_eq!(
        (mix.len(), mix.labels().classes.as_slice()),
        (25 + 5 + 10, &["dog".to_owned()][..])
    );
    let shown = |index: usize| mix.captions(index).unwrap().swap_remove(0);
    let counts = (0..25).fold(HashMap::new(), |mut counts, index| {
        *counts.entry(shown(index)).or_insert(0) += 1;
        counts
    });
    assert!(counts.len() == 10 && counts.values().all(|count| [2, 3].contains(count)));
    assert_eq!(
        (25..30).map(shown).collect::<Vec<_>>(),
        ["cats 0", "cats 2", "cats 4", "cats 6", "cats 8"]
    );
    // Image 3 of coco is one image in both parts that have it, and another one than image 3 elsewhere.
    assert_eq!((mix.key(3), mix.key(3)), (mix.key(13), mix.key(33)));
    let keys: HashSet<u64> = (0..mix.len()).map(|index| mix.key(index)).collect();
    assert_eq!(keys.len(), 15);
    assert_eq!(mix.load(3).unwrap().key, mix.key(3));
    assert_eq!(
        (mix.load(0).unwrap().objects, mix.load(25).unwrap().objects),
        (Some(vec![]), None)
    );
    assert!(mix.load(40).is_err() && mix.part(40).is_none());
    let refused = |parts: Vec<Part>| Mix::new(parts, "mix").err().unwrap().to_string();
    let clash = refused(vec![Part::new(dogs()), Part::new(cats)]);
    assert!(
        clash.contains("dogs has 1 classes") && clash.contains("`boxes` must be false"),
        "{clash}"
    );
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(vec![part(dogs(), weight, "x", true)]).contains("mix.weight"));
    }
    assert!(refused(vec![]).contains("no parts"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Every sample of a part stands in the mix its weight's number of times, rounded down or up.
    #[test]
    fn a_mix_takes_each_sample_by_its_weight(sizes in prop::collection::vec((0usize..40, 1u32..40), 1..5)) {
        let parts: Vec<Part> = sizes
            .iter()
            .enumerate()
            .map(|(number, &(size, tenths))| Part {
                weight: f64::from(tenths) / 10.0,
                ..Part::new(keyed(&number.to_string(), 0..size as u64, false, &[]))
            })
            .collect();
        let mix = Mix::new(parts, "mix").unwrap();
        let mut counts: Vec<Vec<u32>> = sizes.iter().map(|&(size, _)| vec![0; size]).collect();
        let mut last = 0;
        for index in 0..mix.len() {
            let (part, inner) = mix.part(index).unwrap();
            prop_assert!(part >= last);
            last = part;
            counts[part][inner] += 1;
        }
        for (counts, (_, tenths)) in counts.iter().zip(sizes) {
            prop_assert!(counts.iter().all(|&count| count == tenths / 10 || count == tenths.div_ceil(10)));
        }
    }
}
