//! `check`: all kinds of issues, duplicates, overlap, and independence of the number of threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{cell::RefCell, collections::BTreeMap, fs, path::Path, sync::Arc};

use serde_json::json;
use vlp_data::{
    DataError, Entailment, Image, Label, LabelSpace, Object, ReadReport, Sample, Source, Subset,
    check::{CheckOptions, CheckReport, IssueKind, check},
    read::{GenericOptions, generic},
};

fn no_progress(_: usize, _: usize) {}

fn check_with_defaults(source: &dyn Source) -> CheckReport {
    check(source, &CheckOptions::default(), &no_progress).unwrap()
}

/// Samples in memory, including invalid ones that a reader would skip; `load` may fail or panic.
struct InvalidSource {
    samples: Vec<Sample>,
    labels: LabelSpace,
}

impl InvalidSource {
    fn new(samples: Vec<Sample>) -> Self {
        let labels = LabelSpace {
            name: "invalid".into(),
            classes: vec!["dog".into(), "cat".into()],
            attributes: vec!["wet".into()],
            ids: vec![],
        };
        Self { samples, labels }
    }
}

impl Source for InvalidSource {
    fn name(&self) -> &str {
        "invalid"
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
        let image = &self.samples[index].image;
        (image.width, image.height)
    }
    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok(self.samples[index].captions.clone())
    }
    fn load(&self, index: usize) -> Result<Sample, DataError> {
        let sample = self.samples[index].clone();
        match sample.name.as_str() {
            "panics" => panic!("planned panic"),
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
        image: Image::filled(20, 10, [key as u8, 7, 7]),
        second_image: None,
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
fn issues_of_every_kind_are_reported() {
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
            image: Image::filled(200, 10, [0; 3]),
            ..sample(6)
        },
    ];
    let mut options = CheckOptions::default();
    options.limits.max_side = 100;
    let report = check(&InvalidSource::new(samples), &options, &no_progress).unwrap();
    let expected = [
        (IssueKind::Unreadable, 2),
        (IssueKind::Limit, 1),
        (IssueKind::Caption, 3),
        (IssueKind::Box, 3),
        (IssueKind::Category, 2),
        (IssueKind::Label, 1),
    ];
    assert_eq!(report.issue_counts, BTreeMap::from(expected), "{report}");
    let messages: Vec<String> = report
        .issues
        .iter()
        .map(|issue| format!("{}: {}: {}", issue.file, issue.record, issue.reason))
        .collect();
    for (index, expected) in [
        "0.jpg: sample 0, image 0: box 1 has class 2, but there are 2",
        "0.jpg: sample 0, image 0: box 2, [NaN, 1.0, 9.0, 9.0], is not finite",
        "0.jpg: sample 0, image 0: box 3, [5.0, 5.0, 5.0, 9.0], has no area",
        "0.jpg: sample 0, image 0: box 4, [5.0, 5.0, 50.0, 9.0], extends beyond the image of 20x10",
        "0.jpg: sample 0, image 0: box 5 has attribute 1, but there are 1",
        "1.jpg: sample 1, image 1: its text has no words",
        "1.jpg: sample 1, image 1: its text has 10499999 bytes, more than 10000",
        "2.jpg: sample 2, image 2: it has no caption",
        "3.jpg: sample 3, image 3: it has no answer, or an empty one",
        "damaged: sample 4, image 4: image damaged: cut",
        ": sample 5, image 5: panic: planned panic",
        "6.jpg: sample 6, image 6: image 6.jpg: 200x10 is more than 100 on a side",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(messages[index], expected);
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
    // The captions of a damaged image are counted; a source that panics gives none.
    assert_eq!((report.captions, report.boxes), (7, Some(6)));
    assert_eq!(report.caption_words.percentiles.last(), Some(&2_100_000.0));
    assert!(!report.is_clean());
    for text in [
        "issues: 12",
        "boxes without area or outside the image",
        "image damaged: cut",
    ] {
        assert!(report.to_string().contains(text), "{report}");
    }
}

#[test]
fn skipped_records_of_the_reader_are_listed_first() {
    let dir = tempfile::tempdir().unwrap();
    let image = image::RgbImage::from_pixel(8, 6, image::Rgb([9, 9, 9]));
    image.save(dir.path().join("good.png")).unwrap();
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
        let options = CheckOptions::default()
            .with_decode(decode)
            .with_read_report(Some(source.report()));
        check(&source, &options, &no_progress).unwrap()
    };
    let report = run(true);
    let kinds: Vec<IssueKind> = report.issues.iter().map(|issue| issue.kind).collect();
    assert_eq!(kinds, [IssueKind::Record, IssueKind::Unreadable]);
    assert!(report.issues[0].reason.contains("missing.png is missing"));
    assert!(Path::new(&report.issues[1].file).ends_with("damaged.png"));
    assert_eq!((report.samples, report.images), (4, 3));
    // The last sample has the image of the first.
    assert_eq!((report.width.count, report.boxes), (2, Some(1)));
    assert_eq!(report.duplicates.groups, [[0, 1]]);
    assert_eq!((report.answers[0].count, report.different_answers), (2, 2));
    let not_decoded = run(false);
    assert!(!not_decoded.decoded && not_decoded.duplicates.images == 0);
    assert_eq!(
        not_decoded.issue_counts,
        BTreeMap::from([(IssueKind::Record, 1)])
    );
    assert_eq!(
        (
            &not_decoded.caption_words,
            &not_decoded.classes,
            &not_decoded.labels
        ),
        (&report.caption_words, &report.classes, &report.labels)
    );
    let json = serde_json::to_string(&report).unwrap();
    let deserialized: CheckReport = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (deserialized.issues, deserialized.classes),
        (report.issues, report.classes)
    );
}

#[test]
fn images_shared_by_two_splits_are_reported() {
    let mut samples = common::samples(70, 32);
    let val = common::source(samples.split_off(40));
    let train = common::source(samples);
    let options = CheckOptions::default().with_other(Some(&val));
    let disjoint = check(&train, &options, &no_progress).unwrap();
    assert!(disjoint.is_clean(), "{disjoint}");
    let whole: Arc<dyn Source> = Arc::new(train);
    let subset =
        |from: usize, to: usize| Subset::new(whole.clone(), (from..to).collect(), "part").unwrap();
    let (first, second) = (subset(0, 25), subset(20, 40));
    let options = CheckOptions::default().with_other(Some(&second));
    let overlap = check(&first, &options, &no_progress)
        .unwrap()
        .overlap
        .unwrap();
    let shared: Vec<(usize, usize)> = (20..25).map(|index| (index, index - 20)).collect();
    assert_eq!((overlap.keys, overlap.pixels), (5, 5));
    assert_eq!((&overlap.by_key, &overlap.by_pixels), (&shared, &shared));
    // Equal pixels with other keys, in samples with a second image.
    let renamed: Vec<Sample> = (0..3)
        .map(|index| Sample {
            key: 900 + index as u64,
            second_image: Some(Image::filled(4, 4, [index; 3])),
            ..whole.load(usize::from(index)).unwrap()
        })
        .collect();
    let renamed = InvalidSource::new(renamed);
    let options = CheckOptions::default().with_other(Some(&renamed));
    let overlap = check(&first, &options, &no_progress)
        .unwrap()
        .overlap
        .unwrap();
    assert_eq!((overlap.keys, overlap.pixels), (0, 3));
    assert_eq!(overlap.by_pixels, [(0, 0), (1, 1), (2, 2)]);
}

#[test]
fn equal_file_names_in_two_folders_are_not_shared_images() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str, colors: [u8; 3]| {
        let folder = dir.path().join(name);
        fs::create_dir(&folder).unwrap();
        let lines = colors.iter().enumerate().map(|(number, &color)| {
            let file = format!("{number}.png");
            let image = image::RgbImage::from_pixel(8, 6, image::Rgb([color, 0, 0]));
            image.save(folder.join(&file)).unwrap();
            json!({"image": file, "caption": "a dog"}).to_string()
        });
        let lines: Vec<String> = lines.collect();
        let path = folder.join("data.jsonl");
        fs::write(&path, lines.join("\n")).unwrap();
        generic(path, GenericOptions::default()).unwrap()
    };
    // 1.png of both is the same image, as is 2.png of the first and 0.png of the second.
    let (first, second) = (folder("first", [1, 2, 3]), folder("second", [3, 2, 4]));
    let compare = |source: &dyn Source, other: &dyn Source, decode| {
        let options = CheckOptions::default()
            .with_decode(decode)
            .with_other(Some(other));
        check(source, &options, &no_progress).unwrap()
    };
    let report = compare(&first, &second, true);
    let overlap = report.overlap.as_ref().unwrap();
    assert_eq!((overlap.keys, overlap.different_images), (1, 2));
    assert_eq!(overlap.by_key, [(1, 1)]);
    assert_eq!(overlap.by_pixels, [(1, 1), (2, 0)]);
    let text = report.to_string();
    for line in [
        "1 images by id, 2 by pixels",
        "compared: the pixels of all images",
        "not shared: 2 image ids of different images",
    ] {
        assert!(text.contains(line), "{text}");
    }
    // Without decoding, the copy under another name is not found.
    let report = compare(&first, &second, false);
    let overlap = report.overlap.as_ref().unwrap();
    assert_eq!((overlap.keys, overlap.pixels), (1, 0));
    assert_eq!(
        (&overlap.by_key[..], overlap.different_images),
        (&[(1, 1)][..], 2)
    );
    let text = report.to_string();
    assert!(
        text.contains("compared: files of equal image ids;"),
        "{text}"
    );
    // Folders that share nothing but names are clean.
    let third = folder("third", [5, 6, 7]);
    for decode in [true, false] {
        let report = compare(&first, &third, decode);
        assert_eq!(report.overlap.as_ref().unwrap().different_images, 3);
        assert!(report.is_clean(), "{report}");
    }
    // An image that cannot be read may be the same.
    fs::remove_file(dir.path().join("third/0.png")).unwrap();
    let overlap = compare(&first, &third, false).overlap.unwrap();
    assert_eq!(overlap.by_key, [(0, 0)]);
}

#[test]
fn the_report_does_not_depend_on_the_number_of_threads() {
    let other = common::source(common::samples(110, 16).split_off(60));
    let mut invalid: Vec<Sample> = (0..90).map(|key| sample(key % 40)).collect();
    for (index, sample) in invalid.iter_mut().enumerate() {
        if index % 3 == 0 {
            sample.captions = vec![String::new(); 2];
        }
    }
    let mut labeled = common::samples(60, 16);
    for (number, sample) in labeled.iter_mut().enumerate() {
        sample.label = Some(match number % 3 {
            0 => Label::Answers(vec![format!("answer {}", number % 7); 10]),
            1 => Label::Truth(number % 2 == 0),
            _ => Label::Entailment(Entailment::ALL[number % 3]),
        });
    }
    let sources: Vec<Box<dyn Source>> = vec![
        Box::new(common::source(labeled)),
        Box::new(InvalidSource::new(invalid)),
    ];
    for source in sources {
        let run = |threads| {
            let progress = RefCell::new(vec![]);
            let options = CheckOptions::default()
                .with_threads(threads)
                .with_other(Some(&other));
            let report = check(source.as_ref(), &options, &|done, total| {
                assert_eq!(total, source.len() + 50);
                progress.borrow_mut().push(done);
            });
            let report = report.unwrap();
            let progress = progress.into_inner();
            assert!(progress.is_sorted() && progress.last() == Some(&(source.len() + 50)));
            report
        };
        let single_threaded = run(1);
        for threads in [0, 2, 7] {
            assert_eq!(run(threads), single_threaded);
        }
        assert_eq!(single_threaded.samples, source.len());
    }
}

#[test]
fn an_empty_source_has_an_empty_report() {
    let report = check_with_defaults(&InvalidSource::new(vec![]));
    assert!(report.is_clean() && report.samples == 0);
    assert!(report.to_string().contains("no issues"));
    let read = ReadReport::default();
    let options = CheckOptions::default().with_read_report(Some(&read));
    assert_eq!(
        check(&InvalidSource::new(vec![]), &options, &no_progress).unwrap(),
        report
    );
}
