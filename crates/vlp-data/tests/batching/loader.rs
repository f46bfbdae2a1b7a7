//! The loader: determinism, errors and threads.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use vlp_data::{Limits, Loader, LoaderConfig, ResizeRule, Source};

use crate::{Outcome, TestSource, all_load, config, every_tenth_fails, load_batches, plan};

#[test]
fn batches_do_not_depend_on_the_number_of_workers_or_the_start() {
    for outcome in [all_load, every_tenth_fails] {
        let source: Arc<dyn Source> = Arc::new(TestSource::new(30, outcome));
        // Three epochs of seven steps.
        let expected = load_batches(&source, config(0, 0), 21);
        assert_eq!(
            expected.iter().map(|b| b.step).collect::<Vec<_>>(),
            (0..21).collect::<Vec<_>>()
        );
        assert_eq!(expected[20].epoch, 2);
        for workers in [1, 2, 4] {
            assert_eq!(
                load_batches(&source, config(workers, 0), 21),
                expected,
                "{workers} workers"
            );
        }
        for start in [1, 6, 7, 13] {
            for workers in [0, 3] {
                let resumed = load_batches(&source, config(workers, start), 21 - start as usize);
                assert_eq!(
                    resumed,
                    expected[start as usize..],
                    "{workers} workers from step {start}"
                );
            }
        }
        let other_seed = config(0, 0).with_plan(plan(4).with_seed(6));
        assert_ne!(load_batches(&source, other_seed, 21), expected);
    }
}

#[test]
fn unreadable_samples_are_skipped() {
    let source: Arc<dyn Source> = Arc::new(TestSource::new(30, every_tenth_fails));
    let batches = load_batches(&source, config(2, 0), 7);
    let skipped: Vec<_> = batches.iter().flat_map(|batch| &batch.skipped).collect();
    assert!(!skipped.is_empty() && skipped.len() <= 3);
    for record in skipped {
        assert_eq!(record.source, "test");
        assert!(
            record.file.ends_with("3.jpg") && record.record.contains("image 1"),
            "{record}"
        );
        assert!(record.reason.contains("truncated"));
    }
    // The order of the others does not change.
    let readable: Arc<dyn Source> = Arc::new(TestSource::new(30, all_load));
    for (complete, batch) in load_batches(&readable, config(0, 0), 7)
        .iter()
        .zip(&batches)
    {
        let indices: Vec<usize> = complete
            .examples
            .iter()
            .map(|e| e.index)
            .filter(|i| i % 10 != 3)
            .collect();
        assert_eq!(
            batch.examples.iter().map(|e| e.index).collect::<Vec<_>>(),
            indices
        );
    }
}

#[test]
fn a_panic_in_a_source_is_an_error() {
    let one_panics = |index| {
        if index == 17 {
            Outcome::Panic
        } else {
            Outcome::Loaded
        }
    };
    let source: Arc<dyn Source> = Arc::new(TestSource::new(30, one_panics));
    for workers in [0, 1, 4] {
        let mut loader = Loader::start(source.clone(), config(workers, 0)).unwrap();
        let error = (0..14)
            .find_map(|_| loader.next().err())
            .unwrap()
            .to_string();
        assert!(error.contains("sample 17 panics"), "{error}");
        assert!(loader.next().is_err());
    }
}

#[test]
fn dropping_the_loader_joins_its_threads() {
    let source = TestSource::new(30, all_load);
    let (threads, loads) = (source.threads.clone(), source.loads.clone());
    let source: Arc<dyn Source> = Arc::new(source);
    let mut loader = Loader::start(source.clone(), config(3, 0)).unwrap();
    loader.next().unwrap();
    drop(loader);
    // No thread holds the source or loads samples any more.
    assert_eq!(Arc::strong_count(&source), 1);
    let after = loads.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(loads.load(Ordering::SeqCst), after);
    assert!(
        !threads.lock().unwrap().contains(&thread::current().id()),
        "samples are loaded by the workers"
    );
    // Dropped before the first batch was requested.
    drop(Loader::start(source.clone(), config(2, 3)).unwrap());
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
fn workers_prepare_a_bounded_number_of_batches() {
    let source = TestSource::new(30, all_load);
    let loads = source.loads.clone();
    let mut loader = Loader::start(Arc::new(source), config(2, 0).with_queue(4)).unwrap();
    loader.next().unwrap();
    thread::sleep(Duration::from_millis(100));
    // One received, four in the queues, one held by each of two blocked workers.
    assert!(loads.load(Ordering::SeqCst) <= 7 * 4);
    assert!(loader.wait_time() > Duration::ZERO);
    assert_eq!(loader.step(), 1);
}

#[test]
fn images_outside_the_limits_are_skipped_without_loading() {
    let source = TestSource::new(30, all_load);
    let loads = source.loads.clone();
    let limits = Limits::default().with_min_side(1000);
    let config = config(0, 0).with_limits(limits);
    let batch = Loader::start(Arc::new(source), config)
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
fn errors_of_invalid_configurations_name_the_field() {
    let source: Arc<dyn Source> = Arc::new(TestSource::new(3, all_load));
    let empty: Arc<dyn Source> = Arc::new(TestSource::new(0, all_load));
    let no_size = config(0, 0).with_resize(ResizeRule::Square { side: 0 });
    let cases = [
        (
            source.clone(),
            config(0, 0).with_plan(plan(0)),
            "batch_size",
        ),
        (source, no_size, "resize"),
        (empty, config(0, 0), "test has no samples"),
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
