//! The order of samples and the loader's stream: the same for any number of threads and any start, whatever fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use vlp_data::{
    CaptionChoice, DataError, Example, Examples, LabelSpace, LoadedBatch, Loader, LoaderConfig,
    Order, Picture, Plan, ResizeRule, Sample, Scenes, ScenesConfig, Source,
};

/// Pictures of differing sizes and colours; some of them fail in some way.
struct Odd {
    len: usize,
    images: usize,
    fails: fn(usize) -> Fail,
    labels: LabelSpace,
    /// Threads in which `load` has run.
    threads: Arc<Mutex<HashSet<std::thread::ThreadId>>>,
    loads: Arc<AtomicUsize>,
}

enum Fail {
    No,
    Error,
    Panic,
}

impl Odd {
    fn new(len: usize, fails: fn(usize) -> Fail) -> Self {
        Self {
            len,
            images: len,
            fails,
            labels: LabelSpace::default(),
            threads: Arc::default(),
            loads: Arc::default(),
        }
    }
}

impl Source for Odd {
    fn name(&self) -> &str {
        "odd"
    }

    fn len(&self) -> usize {
        self.len
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        (index % self.images) as u64 + 100
    }

    fn size(&self, index: usize) -> (usize, usize) {
        (
            20 + self.key(index) as usize * 37 % 90,
            20 + self.key(index) as usize * 53 % 70,
        )
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        Ok((0..4)
            .map(|number| format!("caption {number} of {}", self.key(index)))
            .collect())
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.threads
            .lock()
            .unwrap()
            .insert(std::thread::current().id());
        self.loads.fetch_add(1, Ordering::SeqCst);
        match (self.fails)(index) {
            Fail::No => {}
            Fail::Error => {
                return Err(DataError::Decode {
                    name: format!("{index}.jpg"),
                    reason: "cut off".into(),
                });
            }
            Fail::Panic => panic!("sample {index} is cursed"),
        }
        let (width, height) = self.size(index);
        Ok(Sample {
            key: self.key(index),
            name: format!("{index}.jpg"),
            picture: Picture::filled(width, height, [index as u8, 7, 200]),
            captions: self.captions(index)?,
            objects: None,
            second: None,
            label: None,
            record: None,
        })
    }
}

fn never(_: usize) -> Fail {
    Fail::No
}

fn sometimes(index: usize) -> Fail {
    if index % 10 == 3 {
        Fail::Error
    } else {
        Fail::No
    }
}

fn plan(batch_size: usize) -> Plan {
    Plan {
        seed: 5,
        batch_size,
        bucket_by_shape: true,
        window: 0,
    }
}

fn config(workers: usize, start_step: u64) -> LoaderConfig {
    LoaderConfig {
        workers,
        start_step,
        max_bad_share: 0.2,
        ..LoaderConfig::new(
            plan(4),
            ResizeRule::Detr {
                short: vec![16, 24, 32],
                max: 64,
            },
        )
    }
}

fn stream(source: &Arc<dyn Source>, config: LoaderConfig, steps: usize) -> Vec<LoadedBatch> {
    let mut loader = Loader::start(source.clone(), config).unwrap();
    (0..steps).map(|_| loader.next().unwrap()).collect()
}

#[test]
fn the_stream_is_the_same_for_any_workers_and_any_start() {
    for fails in [never, sometimes] {
        let source: Arc<dyn Source> = Arc::new(Odd::new(30, fails));
        // Three epochs of seven steps.
        let whole = stream(&source, config(0, 0), 21);
        assert_eq!(
            whole.iter().map(|b| b.step).collect::<Vec<_>>(),
            (0..21).collect::<Vec<_>>()
        );
        assert_eq!(whole[20].epoch, 2);
        for workers in [1, 2, 4] {
            assert_eq!(
                stream(&source, config(workers, 0), 21),
                whole,
                "{workers} workers"
            );
        }
        for start in [1, 6, 7, 13] {
            for workers in [0, 3] {
                let rest = stream(&source, config(workers, start), 21 - start as usize);
                assert_eq!(
                    rest,
                    whole[start as usize..],
                    "{workers} workers from step {start}"
                );
            }
        }
        let other = LoaderConfig {
            plan: Plan { seed: 6, ..plan(4) },
            ..config(0, 0)
        };
        assert_ne!(stream(&source, other, 21), whole);
    }
}

#[test]
fn examples_are_what_they_say() {
    let source: Arc<dyn Source> = Arc::new(
        Scenes::new(ScenesConfig {
            count: 50,
            ..ScenesConfig::default()
        })
        .unwrap(),
    );
    let resize = ResizeRule::Exact {
        width: 32,
        height: 96,
    };
    let loaded = LoaderConfig {
        plan: plan(10),
        resize,
        ..config(2, 0)
    };
    let mut chosen = HashSet::new();
    for batch in stream(&source, loaded, 15) {
        assert!(batch.skipped.is_empty());
        for Example {
            key,
            index,
            epoch,
            width,
            height,
            pixels,
            picture,
            original,
            ..
        } in &batch.examples
        {
            assert_eq!(
                (*width, *height, *original, *epoch),
                (32, 96, (64, 64), batch.epoch)
            );
            assert_eq!(
                (picture.width, picture.height, pixels.len()),
                (32, 96, 3 * 32 * 96)
            );
            assert_eq!(*key, source.key(*index));
        }
        for example in batch.examples {
            let sample = source.load(example.index).unwrap();
            assert_eq!(example.captions, sample.captions);
            let at = example
                .captions
                .iter()
                .position(|c| *c == example.texts[0])
                .unwrap();
            chosen.insert((example.key, at));
            for (resized, object) in example.objects.unwrap().iter().zip(sample.objects.unwrap()) {
                let [x0, y0, x1, y1] = object.bbox;
                assert_eq!(resized.bbox, [x0 * 0.5, y0 * 1.5, x1 * 0.5, y1 * 1.5]);
            }
        }
    }
    assert!(
        chosen.len() > 80,
        "another caption in another epoch: {}",
        chosen.len()
    );
}

#[test]
fn several_texts_repeat_no_caption_before_all_were_taken() {
    let source: Arc<dyn Source> = Arc::new(Odd::new(10, never));
    for (caption, texts) in [(CaptionChoice::Random, 4), (CaptionChoice::First, 9)] {
        let several = Examples {
            caption,
            texts,
            ..Examples::new(source.clone(), ResizeRule::Square { side: 8 })
        };
        let single = Examples {
            texts: 1,
            ..several.clone()
        };
        for index in 0..10 {
            let (example, first) = (
                several.load(index, 3).unwrap(),
                single.load(index, 3).unwrap(),
            );
            assert_eq!(
                (example.texts.len(), example.distractors.len()),
                (texts, texts)
            );
            // More texts change nothing about the first.
            assert_eq!(
                (&example.texts[0], &example.distractors[0]),
                (&first.texts[0], &first.distractors[0])
            );
            let round = example.captions.len().min(texts);
            let distinct: HashSet<_> = example.texts[..round].iter().collect();
            assert_eq!(distinct.len(), round, "{:?}", example.texts);
            if caption == CaptionChoice::First {
                assert_eq!(example.texts[..round], example.captions[..round]);
            }
        }
    }
}

#[test]
fn distractors_are_of_other_images() {
    // Ten samples of two images; and one image alone, which has no other.
    let source: Arc<dyn Source> = Arc::new(Odd {
        images: 2,
        ..Odd::new(10, never)
    });
    let examples = Examples {
        caption: CaptionChoice::Random,
        ..Examples::new(source, ResizeRule::Square { side: 8 })
    };
    let mut seen = HashSet::new();
    for (index, epoch) in (0..10).flat_map(|index| (0..6).map(move |epoch| (index, epoch))) {
        let example = examples.load(index, epoch).unwrap();
        assert!(example.texts[0].ends_with(&format!("of {}", example.key)));
        assert!(
            example.distractors[0].ends_with(&format!("of {}", 201 - example.key)),
            "{}",
            example.distractors[0]
        );
        seen.insert(example.distractors[0].clone());
    }
    assert!(seen.len() >= 6, "{seen:?}");
    let source: Arc<dyn Source> = Arc::new(Odd {
        images: 1,
        ..Odd::new(3, never)
    });
    let examples = Examples::new(source, ResizeRule::Square { side: 8 });
    let example = examples.load(1, 0).unwrap();
    assert_eq!(
        (example.distractors[0].as_str(), example.texts[0].as_str()),
        ("", "caption 0 of 100")
    );
    assert!(matches!(
        examples.load(3, 0),
        Err(DataError::Index {
            index: 3,
            len: 3,
            ..
        })
    ));
}

#[test]
fn an_epoch_holds_each_sample_once() {
    for (len, batch, bucket) in [
        (30, 4, true),
        (30, 4, false),
        (64, 8, true),
        (5, 5, true),
        (3, 8, true),
        (1, 1, false),
    ] {
        let source: Arc<dyn Source> = Arc::new(Odd::new(len, never));
        let rule = ResizeRule::Soho { short: 40, max: 60 };
        let plan = Plan {
            seed: 1,
            batch_size: batch,
            bucket_by_shape: bucket,
            window: 0,
        };
        let order = Order::new(plan, Examples::new(source, rule)).unwrap();
        let size = batch.min(len);
        assert_eq!(
            (order.batch_len(), order.batches_per_epoch()),
            (size, (len / size) as u64)
        );
        let mut left_out = HashSet::new();
        for epoch in 0..20 {
            let steps = epoch * order.batches_per_epoch()..(epoch + 1) * order.batches_per_epoch();
            let mut seen = HashSet::new();
            for step in steps {
                let (of, samples) = order.batch(step);
                assert_eq!((of, samples.len()), (epoch, size));
                for sample in samples {
                    assert!(seen.insert(sample), "{sample} twice in epoch {epoch}");
                }
            }
            left_out.extend((0..len).filter(|sample| !seen.contains(sample)));
        }
        // Over twenty epochs no sample always has to sit out, and many have sat out once.
        assert_eq!(left_out.is_empty(), len % size == 0);
        // Random access agrees with going through.
        let last = 20 * order.batches_per_epoch() - 1;
        let (a, b) = (order.batch(last), order.batch(0));
        assert_eq!((order.batch(last), order.batch(0)), (a, b));
    }
}

/// Share of a batch's area that is padding, over an epoch.
fn padding(bucket_by_shape: bool, resize: ResizeRule) -> f64 {
    let source: Arc<dyn Source> = Arc::new(Odd::new(3000, never));
    let examples = Examples {
        seed: 2,
        ..Examples::new(source, resize)
    };
    let order = Order::new(
        Plan {
            seed: 2,
            batch_size: 16,
            bucket_by_shape,
            window: 0,
        },
        examples.clone(),
    )
    .unwrap();
    let (mut used, mut padded) = (0, 0);
    for step in 0..order.batches_per_epoch() {
        let (epoch, samples) = order.batch(step);
        let sizes: Vec<_> = samples
            .iter()
            .map(|&sample| examples.target(sample, epoch))
            .collect();
        let most = (
            sizes.iter().map(|s| s.0).max().unwrap(),
            sizes.iter().map(|s| s.1).max().unwrap(),
        );
        used += sizes.iter().map(|s| s.0 * s.1).sum::<usize>();
        padded += most.0 * most.1 * sizes.len();
    }
    1.0 - used as f64 / padded as f64
}

#[test]
fn buckets_save_padding() {
    for rule in [
        ResizeRule::Soho {
            short: 600,
            max: 1000,
        },
        ResizeRule::Detr {
            short: (480..=800).step_by(32).collect(),
            max: 1333,
        },
    ] {
        let (with, without) = (padding(true, rule.clone()), padding(false, rule.clone()));
        assert!(
            with < 0.08 && without > 0.3,
            "{rule:?}: {with:.3} with, {without:.3} without"
        );
    }
}

#[test]
fn bad_samples_are_skipped_and_listed_until_they_are_too_many() {
    let source: Arc<dyn Source> = Arc::new(Odd::new(30, sometimes));
    let batches = stream(&source, config(2, 0), 7);
    let skipped: Vec<_> = batches.iter().flat_map(|batch| &batch.skipped).collect();
    assert!(!skipped.is_empty() && skipped.len() <= 3);
    for fault in skipped {
        assert_eq!(fault.source, "odd");
        assert!(
            fault.file.ends_with("3.jpg") && fault.record.contains("image 1"),
            "{fault}"
        );
        assert!(fault.reason.contains("cut off"));
    }
    // The others keep their order.
    let sound: Arc<dyn Source> = Arc::new(Odd::new(30, never));
    for (all, some) in stream(&sound, config(0, 0), 7).iter().zip(&batches) {
        let kept: Vec<usize> = all
            .examples
            .iter()
            .map(|e| e.index)
            .filter(|i| i % 10 != 3)
            .collect();
        assert_eq!(
            some.examples.iter().map(|e| e.index).collect::<Vec<_>>(),
            kept
        );
    }
    for workers in [0, 3] {
        let strict = LoaderConfig {
            max_bad_share: 0.05,
            ..config(workers, 0)
        };
        let mut loader = Loader::start(source.clone(), strict).unwrap();
        let error = (0..40).find_map(|_| loader.next().err()).unwrap();
        assert!(
            matches!(error, DataError::TooManyBad { bad: 2, .. }),
            "{error}"
        );
        assert!(loader.next().is_err(), "it stays ended");
    }
}

#[test]
fn a_panic_in_a_source_is_an_error() {
    let cursed = |index| if index == 17 { Fail::Panic } else { Fail::No };
    let source: Arc<dyn Source> = Arc::new(Odd::new(30, cursed));
    for workers in [0, 1, 4] {
        let mut loader = Loader::start(source.clone(), config(workers, 0)).unwrap();
        let error = (0..14)
            .find_map(|_| loader.next().err())
            .unwrap()
            .to_string();
        assert!(error.contains("sample 17 is cursed"), "{error}");
        assert!(loader.next().is_err());
    }
}

#[test]
fn dropping_ends_the_threads() {
    let odd = Odd::new(30, never);
    let (threads, loads) = (odd.threads.clone(), odd.loads.clone());
    let source: Arc<dyn Source> = Arc::new(odd);
    let mut loader = Loader::start(source.clone(), config(3, 0)).unwrap();
    loader.next().unwrap();
    drop(loader);
    // Every thread is joined: nobody else holds the source, and nothing is loaded any more.
    assert_eq!(Arc::strong_count(&source), 1);
    let after = loads.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(loads.load(Ordering::SeqCst), after);
    assert!(
        !threads
            .lock()
            .unwrap()
            .contains(&std::thread::current().id()),
        "the work was done by threads"
    );
    // Never asked, and dropped at once.
    drop(Loader::start(source.clone(), config(2, 3)).unwrap());
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
fn queues_are_bounded() {
    let odd = Odd::new(30, never);
    let loads = odd.loads.clone();
    let mut loader = Loader::start(
        Arc::new(odd),
        LoaderConfig {
            queue: 4,
            ..config(2, 0)
        },
    )
    .unwrap();
    loader.next().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    // One taken, four ready, one finished in each of two hands.
    assert!(loads.load(Ordering::SeqCst) <= 7 * 4);
    assert!(loader.idle() > Duration::ZERO);
    assert_eq!(
        (loader.step(), loader.steps_per_epoch(), loader.skipped()),
        (1, 7, 0)
    );
}

#[test]
fn small_pictures_are_refused_unloaded() {
    let odd = Odd::new(30, never);
    let loads = odd.loads.clone();
    let limits = vlp_data::Limits {
        min_side: 1000,
        ..Default::default()
    };
    let config = LoaderConfig {
        limits,
        max_bad_share: 1.0,
        ..config(0, 0)
    };
    let batch = Loader::start(Arc::new(odd), config)
        .unwrap()
        .next()
        .unwrap();
    assert!(batch.examples.is_empty() && batch.skipped.len() == 4);
    assert!(
        batch.skipped[0].reason.contains("less than 1000 on a side"),
        "{}",
        batch.skipped[0]
    );
    assert_eq!(loads.load(Ordering::SeqCst), 0);
}

#[test]
fn wrong_configurations_are_refused_by_field() {
    let some: Arc<dyn Source> = Arc::new(Odd::new(3, never));
    let none: Arc<dyn Source> = Arc::new(Odd::new(0, never));
    let bad_share = LoaderConfig {
        max_bad_share: 2.0,
        ..config(0, 0)
    };
    let no_size = LoaderConfig {
        resize: ResizeRule::Square { side: 0 },
        ..config(0, 0)
    };
    let cases = [
        (
            some.clone(),
            LoaderConfig {
                plan: plan(0),
                ..config(0, 0)
            },
            "batch_size",
        ),
        (some.clone(), bad_share, "max_bad_share"),
        (some, no_size, "resize"),
        (none, config(0, 0), "odd has no samples"),
    ];
    for (source, config, field) in cases {
        let error = Loader::start(source, config).err().unwrap().to_string();
        assert!(error.contains(field), "{error}");
    }
    let json = serde_json::to_string(&config(2, 7)).unwrap();
    assert_eq!(
        serde_json::from_str::<LoaderConfig>(&json).unwrap(),
        config(2, 7)
    );
}
