//! Steps whose loss or gradient is not finite, and steps without a gradient.

use burn::prelude::*;
use vlp_train::{BatchLoss, GroupConfig, SkipReason, TrainError, Trainer};

use crate::net::{Net, Parts, assert_close, config, device, inputs, save, step, values};

/// Everything that a step could change.
fn state(trainer: &Trainer<Net>) -> Vec<(&'static str, Vec<u8>)> {
    trainer.checkpoint_files().unwrap()
}

fn not_finite(reason: &str) -> SkipReason {
    SkipReason::NotFinite(reason.into())
}

fn scaled_loss(net: &Net, factor: f32) -> Tensor<1> {
    net.loss(inputs(0, 4)).mul_scalar(factor)
}

#[test]
fn a_skipped_step_changes_no_weights_and_no_running_statistics() {
    for (accumulate, deferred) in [(1, false), (3, false), (1, true), (3, true)] {
        let mut config = config();
        (config.accumulate, config.ema_decay, config.max_skipped) = (accumulate, 0.9, 9);
        let trainer = Trainer::new(Net::new(), config).unwrap();
        let mut trainer = trainer.with_deferred_reads(deferred);
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
        let reason = report.skipped.unwrap().to_string();
        assert!(
            reason.contains("the gradient of norm.gamma is not finite"),
            "{reason}"
        );
        assert!(!report.grad_norm.is_finite());
        let bad_loss = |net: &Net, index: usize| {
            let loss = scaled_loss(net, 1.0);
            Ok::<_, TrainError>(if index + 1 == accumulate {
                Err(not_finite("the loss is NaN"))
            } else {
                Ok(loss)
            })
        };
        let report = trainer.step(0, bad_loss).unwrap();
        assert_eq!(report.skipped, Some(not_finite("the loss is NaN")));
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
    let reason = report.skipped.unwrap();
    assert!(matches!(&reason, SkipReason::NotFinite(text) if text.contains("not finite")));
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
    let writer = vlp_train::CheckpointWriter::open(folder.path(), 1).unwrap();
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let bad = |_: &Net, _: usize| Ok::<_, TrainError>(Err(not_finite("bad")));
    for _ in 0..2 {
        trainer.step(0, bad).unwrap();
    }
    let checkpoint = save(&trainer, &writer);
    let resumed = Trainer::new(Net::new(), config()).unwrap();
    let mut resumed = resumed.resume(&checkpoint, "c").unwrap();
    assert!(matches!(
        resumed.step(0, bad),
        Err(TrainError::Diverged { count: 3, .. })
    ));
}

/// A loss without a gradient, as of a batch with nothing to predict.
fn constant_loss() -> Tensor<1> {
    Tensor::zeros([1], &device())
}

#[test]
fn a_loss_with_a_gradient_but_not_of_a_parameter_is_skipped() {
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let report = trainer
        .step(0, |_, _| {
            let leaf = constant_loss().require_grad();
            Ok::<_, TrainError>(Ok(leaf.mul_scalar(2.0)))
        })
        .unwrap();
    assert!(matches!(report.skipped, Some(SkipReason::NoGradient(_))));
}

#[test]
fn a_step_without_a_gradient_is_skipped_with_its_reason() {
    for (accumulate, concurrent) in [(1, false), (3, false), (2, true)] {
        let mut config = config();
        (config.accumulate, config.data_parallel_halves) = (accumulate, concurrent);
        (config.ema_decay, config.max_skipped) = (0.9, 1);
        let mut trainer = Trainer::new(Net::new(), config).unwrap();
        let learn = |net: &Net, _: usize| {
            Ok::<_, TrainError>(BatchLoss::new(Ok(scaled_loss(net, 1.0)), ()))
        };
        trainer.step_with_outputs(0, learn).unwrap();
        let before = state(&trainer);
        // More of these steps in a row than `max_skipped`.
        for _ in 0..3 {
            let (report, outputs) = trainer
                .step_with_outputs(0, |net: &Net, index| {
                    // The forward pass changes the norm's running statistics.
                    let _ = scaled_loss(net, 1.0);
                    Ok::<_, TrainError>(BatchLoss::new(Ok(constant_loss()), index))
                })
                .unwrap();
            let reason = report.skipped.unwrap();
            assert!(
                matches!(&reason, SkipReason::NoGradient(text) if text.contains("nothing to predict")),
                "{reason}"
            );
            assert_eq!(report.grad_norm, 0.0);
            let outputs = outputs.into_iter().map(|(index, _)| index);
            assert!(outputs.eq(0..accumulate));
        }
        assert!(state(&trainer) == before, "{accumulate} batches per step");
        assert_eq!((trainer.skipped(), trainer.step_count()), (3, 4));
        trainer.step_with_outputs(0, learn).unwrap();
        assert!(state(&trainer) != before);
    }
}

#[test]
fn an_accumulated_batch_without_a_gradient_contributes_zeros() {
    // Three batches of loss a, nothing and b give the gradient of (a + b) / 3.
    for no_gradient in [
        Ok(()),
        Err(SkipReason::NoGradient("no sample could be read".into())),
    ] {
        for concurrent in [false, true] {
            let mut config = config();
            let accumulate = if concurrent { 2 } else { 3 };
            (config.accumulate, config.data_parallel_halves) = (accumulate, concurrent);
            let mut trainer = Trainer::new(Parts::new(), config).unwrap();
            let (report, _) = trainer
                .step_with_outputs(0, |net: &Parts, index| {
                    let loss = match (index, &no_gradient) {
                        (1, Ok(())) => Ok(constant_loss()),
                        (1, Err(reason)) => Err(reason.clone()),
                        _ => Ok(net.loss([3.0, 4.0])),
                    };
                    Ok::<_, TrainError>(BatchLoss::new(loss, ()))
                })
                .unwrap();
            assert_eq!(report.skipped, None);
            // Six parameters of gradient (3, 4), from one or two of the batches.
            let batches = (accumulate - 1) as f32 / accumulate as f32;
            assert_close(&[report.grad_norm], &[6f32.sqrt() * 5.0 * batches]);
            assert_eq!(trainer.skipped(), 0);
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_skips_the_step_also_next_to_a_batch_without_a_gradient() {
    let mut config = config();
    config.accumulate = 2;
    let mut trainer = Trainer::new(Net::new(), config).unwrap();
    let report = trainer
        .step(0, |_, index| {
            Ok::<_, TrainError>(match index {
                0 => Ok(constant_loss()),
                _ => Err(not_finite("the loss is NaN")),
            })
        })
        .unwrap();
    assert_eq!(report.skipped, Some(not_finite("the loss is NaN")));
}

#[test]
fn steps_without_a_gradient_do_not_interrupt_a_row_of_steps_that_are_not_finite() {
    let mut trainer = Trainer::new(Net::new(), config()).unwrap();
    let bad = |_: &Net, _: usize| Ok::<_, TrainError>(Err(not_finite("bad")));
    let nothing = |_: &Net, _: usize| Ok::<_, TrainError>(Ok(constant_loss()));
    trainer.step(0, bad).unwrap();
    trainer.step(0, nothing).unwrap();
    trainer.step(0, bad).unwrap();
    trainer.step(0, nothing).unwrap();
    assert!(matches!(
        trainer.step(0, bad),
        Err(TrainError::Diverged { count: 3, .. })
    ));
}

#[test]
fn a_step_in_which_every_parameter_is_frozen_is_skipped_with_its_reason() {
    for concurrent in [false, true] {
        let mut config = config();
        config.steps = 4;
        (config.accumulate, config.data_parallel_halves) = (2, concurrent);
        config.optimizer.groups = vec![
            GroupConfig::new(".", 0.1)
                .with_weight_decay(0.0)
                .with_frozen_until(0.5),
        ];
        let mut trainer = Trainer::new(Parts::new(), config).unwrap();
        for step in 0..4 {
            let loss = |net: &Parts, _: usize| {
                Ok::<_, TrainError>(BatchLoss::new(Ok(net.loss([1.0, 2.0])), ()))
            };
            let (report, _) = trainer.step_with_outputs(0, loss).unwrap();
            match report.skipped {
                Some(reason) => assert!(
                    step < 2 && reason.to_string().starts_with("every parameter is frozen"),
                    "step {step}: {reason}"
                ),
                None => assert!(step >= 2, "step {step}"),
            }
        }
        assert_eq!(trainer.skipped(), 2);
    }
}
