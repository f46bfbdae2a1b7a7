//! Micro-batches that several processes load.

use std::sync::Arc;

use vlp_data::{BatchPlan, DataError, Loader, SkippedBudget, SkippedRecord, Source};

use crate::{TestSource, all_load, config, every_tenth_fails, load_batches};

#[test]
fn the_stream_does_not_depend_on_how_micro_batches_are_distributed() {
    let accumulate = 7;
    for outcome in [all_load, every_tenth_fails] {
        let source: Arc<dyn Source> = Arc::new(TestSource::new(60, outcome));
        // Five training steps: two epochs of 15 batches, and part of the third.
        let expected = load_batches(&source, config(0, 0), 5 * accumulate);
        for (ranks, workers, start) in [
            (1, 2, 0),
            (2, 0, 0),
            (2, 3, 7),
            (3, 1, 14),
            (7, 2, 0),
            (7, 0, 21),
            // In the middle of a training step.
            (3, 2, 10),
            (7, 3, 13),
        ] {
            let mut batches = vec![];
            for rank in 0..ranks {
                let range = rank * accumulate / ranks..(rank + 1) * accumulate / ranks;
                let steps = (start..5 * accumulate).filter(|step| range.contains(&(step % 7)));
                let config = config(workers, start as u64)
                    .with_accumulate(accumulate)
                    .with_micro_batches(Some(range.clone()));
                let mut loader = Loader::start(source.clone(), config).unwrap();
                for step in steps {
                    assert_eq!(loader.step(), step as u64);
                    batches.push(loader.next().unwrap());
                }
            }
            batches.sort_by_key(|batch| batch.step);
            assert_eq!(
                batches,
                expected[start..],
                "{ranks} ranks, {workers} workers, from {start}"
            );
        }
    }
}

#[test]
fn invalid_micro_batches_are_errors() {
    let source: Arc<dyn Source> = Arc::new(TestSource::new(30, all_load));
    for (accumulate, range, field) in [
        (0, None, "loader.accumulate"),
        (2, Some(0..3), "loader.micro_batches"),
        (2, Some(1..1), "loader.micro_batches"),
    ] {
        let config = config(0, 0)
            .with_accumulate(accumulate)
            .with_micro_batches(range);
        match Loader::start(source.clone(), config) {
            Err(DataError::Config { field: name, .. }) => assert_eq!(name, field),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_budget_fails_where_skipped_samples_exceed_the_fraction() {
    let last = SkippedRecord {
        source: "test".into(),
        file: "3.jpg".into(),
        record: "sample 3".into(),
        reason: "truncated".into(),
    };
    // Of 100 samples, 5 may be skipped in the first epoch; 6 of 120 requested.
    let mut budget = SkippedBudget::new(0.05, 100).unwrap();
    for (requested, skipped, fails) in [
        (40, 5, false),
        (40, 0, false),
        (40, 1, false),
        (2, 1, true),
        (2, 0, false),
    ] {
        let record = (skipped > 0).then_some(&last);
        let result = budget.record(requested, skipped, record);
        assert_eq!(result.is_err(), fails, "{result:?}");
        if let Err(error) = result {
            assert_eq!(
                error.to_string(),
                "7 of 122 samples could not be loaded, more than the allowed fraction of 0.05; the last: test: 3.jpg: sample 3: truncated"
            );
        }
    }
    assert_eq!(budget.skipped(), 7);
    for fraction in [-0.1, 1.5, f64::NAN] {
        let error = SkippedBudget::new(fraction, 100).unwrap_err().to_string();
        assert!(error.contains("max_bad_fraction"), "{error}");
    }
}

#[test]
fn a_config_without_micro_batches_loads_all() {
    let plan = BatchPlan::new(1, 4);
    let config = config(1, 0).with_plan(plan);
    let mut json = serde_json::to_value(&config).unwrap();
    for key in ["accumulate", "micro_batches"] {
        json.as_object_mut().unwrap().remove(key).unwrap();
    }
    assert_eq!(
        serde_json::from_value::<vlp_data::LoaderConfig>(json).unwrap(),
        config
    );
}
