//! Steps whose loss or gradient is not finite.

use burn::prelude::*;
use vlp_train::{TrainError, Trainer};

use crate::net::{Net, config, inputs, step, values};

/// Everything that a step could change.
fn state(trainer: &Trainer<Net>) -> Vec<(&'static str, Vec<u8>)> {
    trainer.checkpoint_files().unwrap()
}

fn scaled_loss(net: &Net, factor: f32) -> Tensor<1> {
    net.loss(inputs(0, 4)).mul_scalar(factor)
}

#[test]
fn a_skipped_step_changes_no_weights_and_no_running_statistics() {
    for accumulate in [1, 3] {
        let mut config = config();
        (config.accumulate, config.ema_decay, config.max_skipped) = (accumulate, 0.9, 9);
        let mut trainer = Trainer::new(Net::new(), config).unwrap();
        step(&mut trainer);
        let before = state(&trainer);
        let mean = values(trainer.model().valid().norm.running_mean.value());
        assert!(mean != [0.0, 0.0], "the norm has statistics of a batch");
        // Only the last batch of the step is bad; the norm has already processed those before it.
        let bad_gradient = |net: &Net, index: usize| {
            let factor = if index + 1 == accumulate {
                f32::NAN
            } else {
                1.0
            };
            Ok::<_, TrainError>(Ok(scaled_loss(net, factor)))
        };
        let report = trainer.step(0, bad_gradient).unwrap();
        let reason = report.skipped.unwrap();
        assert!(
            reason.contains("the gradient of norm.gamma is not finite"),
            "{reason}"
        );
        assert!(!report.grad_norm.is_finite());
        let bad_loss = |net: &Net, index: usize| {
            let loss = scaled_loss(net, 1.0);
            Ok::<_, TrainError>(if index + 1 == accumulate {
                Err("the loss is NaN".into())
            } else {
                Ok(loss)
            })
        };
        let report = trainer.step(0, bad_loss).unwrap();
        assert_eq!(report.skipped.as_deref(), Some("the loss is NaN"));
        assert!(state(&trainer) == before, "{accumulate} batches per step");
        assert_eq!((trainer.skipped(), trainer.step_count()), (2, 3));
        step(&mut trainer);
        assert!(state(&trainer) != before);
    }
}

#[test]
fn a_gradient_norm_that_overflows_skips_the_step() {
    // Each gradient is finite, but the sum of their squares is not.
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let report = trainer
        .step(0, |net, _| Ok::<_, TrainError>(Ok(scaled_loss(net, 1e25))))
        .unwrap();
    assert!(report.skipped.unwrap().contains("not finite"));
}

#[test]
fn training_stops_after_too_many_skips_in_a_row() {
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let bad = |net: &Net, _: usize| Ok::<_, TrainError>(Ok(scaled_loss(net, f32::INFINITY)));
    for _ in 0..2 {
        trainer.step(0, bad).unwrap();
    }
    // A step that is not skipped resets the count.
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
fn the_count_of_consecutive_skips_survives_resuming() {
    let folder = tempfile::tempdir().unwrap();
    let store = vlp_train::CheckpointStore::open(folder.path(), 1).unwrap();
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let bad = |_: &Net, _: usize| Ok::<_, TrainError>(Err("bad".into()));
    for _ in 0..2 {
        trainer.step(0, bad).unwrap();
    }
    store
        .save(
            &trainer.state("c"),
            &trainer.checkpoint_files().unwrap(),
            None,
        )
        .unwrap();
    let checkpoint = store.latest().unwrap().0;
    let resumed = Trainer::new(Net::new(), config()).unwrap();
    let mut resumed = resumed.resume(&checkpoint, "c").unwrap();
    assert!(matches!(
        resumed.step(0, bad),
        Err(TrainError::Diverged { count: 3, .. })
    ));
}
