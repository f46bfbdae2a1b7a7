//! Checking: every planted fault is found, and the same report comes from any number of threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{cell::RefCell, collections::BTreeMap, fs, path::Path, sync::Arc};

use serde_json::json;
use vlp_data::{
    DataError, Label, LabelSpace, Object, Picture, ReadReport, Sample, Scenes, ScenesConfig,
    ScenesTask, Source, Split, Subset, Task,
    check::{CheckOptions, CheckReport, FaultKind, check},
    read::{GenericOptions, generic},
};

fn silent(_: usize, _: usize) {}

fn plain(source: &dyn Source) -> CheckReport {
    check(source, &CheckOptions::default(), &silent)
}

fn scenes(count: usize, split: Split) -> Scenes {
    let config = ScenesConfig {
        count,
        split,
        resolution: 32,
        ..ScenesConfig::default()
    };
    Scenes::new(config).unwrap()
}

/// Samples as they are given, without a reader that would have left the wrong ones out.
struct Given {
    samples: Vec<Sample>,
    labels: LabelSpace,
}

impl Given {
    fn new(samples: Vec<Sample>) -> Self {
        let labels = LabelSpace {
            name: "given".into(),
            classes: vec!["dog".into(), "cat".into()],
            attributes: vec!["wet".into()],
            ids: vec![],
        };
        Self { samples, labels }
    }
}

impl Source for Given {
    fn name(&self) -> &str {
        "given"
    }
    fn len(&self) -> usize {
        self.samples.len()
    }
    fn labels(&self) -> &LabelSpace {
        &self.labels
    }
    fn key(&self, index: usize) -> u64 {
        self.samples[index].key
    }
    fn size(&self, index: usize) -> (usize, usize) {
        let picture = &self.samples[index].picture;
        (picture.width, picture.height)
    }
    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(self.samples[index].captions.clone())
    }
    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let sample = self.samples[index].clone();
        match sample.name.as_str() {
            "panics" => panic!("out of order"),
            "damaged" => Err(DataError::Decode {
                name: sample.name,
                reason: "cut".into(),
            }),
            _ => Ok(sample),
        }
    }
}

fn sample(key: u64) -> Sample {
    Sample {
        key,
        name: format!("{key}.jpg"),
        picture: Picture::filled(20, 10, [key as u8, 7, 7]),
        second: None,
        captions: vec!["a dog".into()],
        objects: None,
        label: None,
        record: None,
    }
}

fn object(class: usize, bbox: [f32; 4], attributes: &[usize]) -> Object {
    Object {
        class,
        bbox,
        attributes: attributes.to_vec(),
        crowd: false,
        area: (bbox[2] - bbox[0]) * (bbox[3] - bbox[1]),
    }
}

#[test]
fn every_planted_fault_is_found() {
    let long = "word ".repeat(2_100_000);
    let samples = vec![
        Sample {
            objects: Some(vec![
                object(0, [1.0, 1.0, 9.0, 9.0], &[0]),
                object(2, [1.0, 1.0, 9.0, 9.0], &[]),
                object(1, [f32::NAN, 1.0, 9.0, 9.0], &[]),
                object(1, [5.0, 5.0, 5.0, 9.0], &[]),
                object(1, [5.0, 5.0, 50.0, 9.0], &[]),
                object(1, [5.0, 5.0, 7.0, 9.0], &[0, 1]),
            ]),
            ..sample(0)
        },
        Sample {
            captions: vec![" .. ".into(), long, "two words".into()],
            ..sample(1)
        },
        Sample {
            captions: vec![],
            ..sample(2)
        },
        Sample {
            label: Some(Label::Answers(vec!["yes".into(), " ".into()])),
            ..sample(3)
        },
        Sample {
            name: "damaged".into(),
            ..sample(4)
        },
        Sample {
            name: "panics".into(),
            ..sample(5)
        },
        Sample {
            picture: Picture::filled(200, 10, [0; 3]),
            ..sample(6)
        },
    ];
    let mut options = CheckOptions::default();
    options.limits.max_side = 100;
    let report = check(&Given::new(samples), &options, &silent);
    let expected = [
        (FaultKind::Unreadable, 2),
        (FaultKind::Limit, 1),
        (FaultKind::Caption, 3),
        (FaultKind::Box, 3),
        (FaultKind::Category, 2),
        (FaultKind::Label, 1),
    ];
    assert_eq!(report.fault_counts, BTreeMap::from(expected), "{report}");
    let said: Vec<String> = report
        .faults
        .iter()
        .map(|found| {
            format!(
                "{}: {}: {}",
                found.fault.file, found.fault.record, found.fault.reason
            )
        })
        .collect();
    for (at, expected) in [
        "0.jpg: sample 0, image 0: box 1 has class 2, and there are 2",
        "0.jpg: sample 0, image 0: box 2, [NaN, 1.0, 9.0, 9.0], is not finite",
        "0.jpg: sample 0, image 0: box 3, [5.0, 5.0, 5.0, 9.0], has no area",
        "0.jpg: sample 0, image 0: box 4, [5.0, 5.0, 50.0, 9.0], reaches out of the picture of 20x10",
        "0.jpg: sample 0, image 0: box 5 has attribute 1, and there are 1",
        "1.jpg: sample 1, image 1: its text has no words",
        "1.jpg: sample 1, image 1: its text has 10499999 bytes, more than 10000",
        "2.jpg: sample 2, image 2: it has no caption",
        "3.jpg: sample 3, image 3: it has no answer, or an empty one",
        "damaged: sample 4, image 4: picture damaged: cut",
        ": sample 5, image 5: panic: out of order",
        "6.jpg: sample 6, image 6: picture 6.jpg: 200x10 is more than 100 on a side",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(said[at], expected);
    }
    let counts = |counts: &[vlp_data::check::Count]| -> Vec<(String, u64)> {
        counts.iter().map(|c| (c.name.clone(), c.count)).collect()
    };
    assert_eq!(
        counts(&report.classes),
        [("cat".into(), 4), ("dog".into(), 1)]
    );
    assert_eq!(counts(&report.attributes), [("wet".into(), 2)]);
    assert_eq!(
        counts(&report.answers),
        [(" ".into(), 1), ("yes".into(), 1)]
    );
    // The damaged picture's caption is read all the same; the source that panics gives nothing.
    assert_eq!((report.captions, report.boxes), (7, Some(6)));
    assert_eq!(report.caption_words.percentiles.last(), Some(&2_100_000.0));
    assert!(!report.is_clean());
    for part in [
        "faults: 12",
        "boxes without area or outside",
        "picture damaged: cut",
    ] {
        assert!(report.to_string().contains(part), "{report}");
    }
}

#[test]
fn what_the_reader_left_out_is_listed_first() {
    let dir = tempfile::tempdir().unwrap();
    let picture = image::RgbImage::from_pixel(8, 6, image::Rgb([9, 9, 9]));
    picture.save(dir.path().join("good.png")).unwrap();
    fs::copy(dir.path().join("good.png"), dir.path().join("copy.png")).unwrap();
    fs::write(dir.path().join("damaged.png"), b"\x89PNG\r\n\x1a\nnot").unwrap();
    let lines = [
        json!({"image": "good.png", "caption": "a dog", "boxes": [{"bbox": [1, 1, 3, 3], "label": "dog"}]}),
        json!({"image": "copy.png", "captions": ["a cat", "two cats"], "boxes": []}),
        json!({"image": "damaged.png", "caption": "a bird"}),
        json!({"image": "missing.png", "caption": "a bird"}),
        json!({"image": "good.png", "question": "what?", "answers": ["dog", "dog", "cat"]}),
    ];
    let path = dir.path().join("data.jsonl");
    fs::write(&path, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let source = generic(&path, GenericOptions::default()).unwrap();
    let run = |decode| {
        let options = CheckOptions {
            decode,
            read: Some(source.report()),
            ..CheckOptions::default()
        };
        check(&source, &options, &silent)
    };
    let report = run(true);
    let kinds: Vec<FaultKind> = report.faults.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [FaultKind::Record, FaultKind::Unreadable]);
    assert!(
        report.faults[0]
            .fault
            .reason
            .contains("missing.png is missing")
    );
    assert!(Path::new(&report.faults[1].fault.file).ends_with("damaged.png"));
    assert_eq!((report.samples, report.images), (4, 3));
    // The question is of a picture that was read already.
    assert_eq!((report.width.count, report.boxes), (2, Some(1)));
    assert_eq!(report.duplicates.groups, [[0, 1]]);
    assert_eq!((report.answers[0].count, report.different_answers), (2, 2));
    let stats = run(false);
    assert!(!stats.decoded && stats.duplicates.images == 0);
    assert_eq!(stats.fault_counts, BTreeMap::from([(FaultKind::Record, 1)]));
    assert_eq!(
        (&stats.caption_words, &stats.classes, &stats.labels),
        (&report.caption_words, &report.classes, &report.labels)
    );
    let json = serde_json::to_string(&report).unwrap();
    let again: CheckReport = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (again.faults, again.classes),
        (report.faults, report.classes)
    );
}

#[test]
fn pictures_in_two_splits_are_found() {
    let (train, val) = (scenes(40, Split::Train), scenes(30, Split::Val));
    let options = CheckOptions {
        other: Some(&val),
        ..CheckOptions::default()
    };
    let apart = check(&train, &options, &silent);
    assert!(apart.is_clean(), "{apart}");
    let whole: Arc<dyn Source> = Arc::new(train);
    let part =
        |from: usize, to: usize| Subset::new(whole.clone(), (from..to).collect(), "part").unwrap();
    let (first, second) = (part(0, 25), part(20, 40));
    let options = CheckOptions {
        other: Some(&second),
        ..CheckOptions::default()
    };
    let overlap = check(&first, &options, &silent).overlap.unwrap();
    let both: Vec<(usize, usize)> = (20..25).map(|at| (at, at - 20)).collect();
    assert_eq!((overlap.keys, overlap.pixels), (5, 5));
    assert_eq!((&overlap.by_key, &overlap.by_pixels), (&both, &both));
    // The same pixels under other keys, and one by one of pictures that stand in pairs.
    let renamed: Vec<Sample> = (0..3)
        .map(|at| Sample {
            key: 900 + at as u64,
            second: Some(Picture::filled(4, 4, [at; 3])),
            ..whole.load(usize::from(at)).unwrap()
        })
        .collect();
    let renamed = Given::new(renamed);
    let options = CheckOptions {
        other: Some(&renamed),
        ..CheckOptions::default()
    };
    let overlap = check(&first, &options, &silent).overlap.unwrap();
    assert_eq!((overlap.keys, overlap.pixels), (0, 3));
    assert_eq!(overlap.by_pixels, [(0, 0), (1, 1), (2, 2)]);
}

#[test]
fn threads_do_not_change_the_report() {
    let config = ScenesConfig {
        count: 60,
        resolution: 16,
        ..ScenesConfig::default()
    };
    let other = scenes(50, Split::Val);
    let mut bad: Vec<Sample> = (0..90).map(|key| sample(key % 40)).collect();
    for (at, sample) in bad.iter_mut().enumerate() {
        if at % 3 == 0 {
            sample.captions = vec![String::new(); 2];
        }
    }
    let sources: Vec<Box<dyn Source>> = vec![
        Box::new(ScenesTask::new(config.clone(), Task::Vqa).unwrap()),
        Box::new(ScenesTask::new(config.clone(), Task::Nlvr2).unwrap()),
        Box::new(ScenesTask::new(config, Task::SnliVe).unwrap()),
        Box::new(Given::new(bad)),
    ];
    for source in sources {
        let run = |threads| {
            let told = RefCell::new(vec![]);
            let options = CheckOptions {
                threads,
                other: Some(&other),
                ..CheckOptions::default()
            };
            let report = check(source.as_ref(), &options, &|done, total| {
                assert_eq!(total, source.len() + 50);
                told.borrow_mut().push(done);
            });
            let told = told.into_inner();
            assert!(told.is_sorted() && told.last() == Some(&(source.len() + 50)));
            report
        };
        let one = run(1);
        for threads in [0, 2, 7] {
            assert_eq!(run(threads), one);
        }
        assert_eq!(one.samples, source.len());
    }
}

#[test]
fn an_empty_source_has_an_empty_report() {
    let report = plain(&Given::new(vec![]));
    assert!(report.is_clean() && report.samples == 0);
    assert!(report.to_string().contains("no faults"));
    let read = ReadReport::default();
    let options = CheckOptions {
        read: Some(&read),
        ..CheckOptions::default()
    };
    assert_eq!(check(&Given::new(vec![]), &options, &silent), report);
}
