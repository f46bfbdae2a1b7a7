//! Steps whose loss or gradient is not finite.

use burn::prelude::*;
use vlp_train::{TrainError, Trainer};

use crate::net::{Net, config, inputs, step, values};

/// Everything a step could change.
fn state(trainer: &Trainer<Net>) -> Vec<(&'static str, Vec<u8>)> {
    trainer.save().unwrap()
}

fn spoilt(net: &Net, by: f32) -> Tensor<1> {
    net.loss(inputs(0, 4)).mul_scalar(by)
}

#[test]
fn a_skipped_step_changes_no_weight_and_no_running_statistic() {
    for accumulate in [1, 3] {
        let mut config = config();
        (config.accumulate, config.ema_decay, config.max_skipped) = (accumulate, 0.9, 9);
        let mut trainer = Trainer::new(Net::new(), config).unwrap();
        step(&mut trainer);
        let before = state(&trainer);
        let mean = values(trainer.model().valid().norm.running_mean.value());
        assert!(mean != [0.0, 0.0], "the norm has seen a batch");
        // Only the last batch of the step is bad: those before it have been through the norm.
        let bad_gradient = |net: &Net, micro: usize| {
            let by = if micro + 1 == accumulate {
                f32::NAN
            } else {
                1.0
            };
            Ok::<_, TrainError>(Ok(spoilt(net, by)))
        };
        let report = trainer.step(0, bad_gradient).unwrap();
        let reason = report.skipped.unwrap();
        assert!(
            reason.contains("the gradient of norm.gamma is not finite"),
            "{reason}"
        );
        assert!(!report.grad_norm.is_finite());
        let bad_loss = |net: &Net, micro: usize| {
            let loss = spoilt(net, 1.0);
            Ok::<_, TrainError>(if micro + 1 == accumulate {
                Err("the loss is NaN".into())
            } else {
                Ok(loss)
            })
        };
        let report = trainer.step(0, bad_loss).unwrap();
        assert_eq!(report.skipped.as_deref(), Some("the loss is NaN"));
        assert!(state(&trainer) == before, "{accumulate} batches a step");
        assert_eq!((trainer.skipped(), trainer.step_count()), (2, 3));
        // A good step after it is what it would have been without.
        step(&mut trainer);
        assert!(state(&trainer) != before);
    }
}

#[test]
fn a_gradient_too_large_to_square_is_skipped_by_name() {
    // Each gradient is finite, the sum of their squares is not.
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let report = trainer
        .step(0, |net, _| Ok::<_, TrainError>(Ok(spoilt(net, 1e25))))
        .unwrap();
    assert!(report.skipped.unwrap().contains("not finite"));
}

#[test]
fn training_stops_after_too_many_skips_in_a_row() {
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let bad = |net: &Net, _: usize| Ok::<_, TrainError>(Ok(spoilt(net, f32::INFINITY)));
    for _ in 0..2 {
        trainer.step(0, bad).unwrap();
    }
    // A good step in between starts the count anew.
    step(&mut trainer);
    for _ in 0..2 {
        trainer.step(0, bad).unwrap();
    }
    match trainer.step(0, bad) {
        Err(TrainError::Diverged {
            step,
            count,
            reason,
        }) => {
            assert_eq!((step, count), (6, 3));
            assert!(reason.contains("is not finite"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(trainer.skipped(), 5);
}

#[test]
fn the_count_in_a_row_survives_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let store = vlp_train::CheckpointStore::open(folder.path(), 1).unwrap();
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let bad = |_: &Net, _: usize| Ok::<_, TrainError>(Err("bad".into()));
    for _ in 0..2 {
        trainer.step(0, bad).unwrap();
    }
    store
        .save(&trainer.state("c"), &trainer.save().unwrap(), None)
        .unwrap();
    let checkpoint = store.latest().unwrap().0;
    let again = Trainer::new(Net::new(), config()).unwrap();
    let mut again = again.resume(&checkpoint, "c").unwrap();
    assert!(matches!(
        again.step(0, bad),
        Err(TrainError::Diverged { count: 3, .. })
    ));
}
