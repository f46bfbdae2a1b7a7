//! Updates that are launched before the CPU knows whether they are made.

use burn::prelude::*;
use vlp_ops::copies_to_cpu;
use vlp_train::{
    BatchLoss, GroupConfig, MomentDtype, OptimizerKind, SkipReason, StepReport, TrainError,
    Trainer, TrainerConfig,
};

use crate::net::{Net, config, inputs, values};

/// AdamW for the norm, SGD with momentum for the linear layer, and clipping.
fn both_optimizers(moments: MomentDtype) -> TrainerConfig {
    let mut config = config();
    config.max_skipped = 9;
    config.optimizer.clip_norm = 0.1;
    config.optimizer.moment_dtype = moments;
    config.optimizer.groups =
        vec![GroupConfig::new("^linear", 0.1).with_kind(OptimizerKind::Sgd { momentum: 0.9 })];
    config
}

/// A step of two values, one of them `value`, and a loss times `factor`. Returns the number of copies to the CPU too.
fn step(trainer: &mut Trainer<Net>, value: f32, factor: f32) -> (StepReport, Vec<f32>, u64) {
    let (copies, step) = (copies_to_cpu(), trainer.step_count());
    let (report, outputs) = trainer
        .step_with_outputs(0, |net: &Net, _| {
            let loss = net.loss(inputs(step, 4)).mul_scalar(factor);
            Ok::<_, TrainError>(BatchLoss {
                names: vec!["first".into(), "second".into()],
                values: Some(Tensor::from_floats([1.5, value], &Device::flex())),
                ..BatchLoss::new(Ok(loss), ())
            })
        })
        .unwrap();
    let [((), values)] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    (report, values.clone(), copies_to_cpu() - copies)
}

fn weights(trainer: &Trainer<Net>) -> Vec<u32> {
    let net = trainer.model();
    let mut weights = values(net.norm.gamma.val());
    weights.extend(values(net.linear.weight.val()));
    weights.iter().map(|weight| weight.to_bits()).collect()
}

#[test]
fn deferred_updates_have_the_bits_and_reports_of_others() {
    for moments in [MomentDtype::F32, MomentDtype::Bf16] {
        let [mut direct, mut deferred] = [false, true].map(|deferred| {
            let trainer = Trainer::new(Net::new(), both_optimizers(moments)).unwrap();
            trainer.with_deferred_reads(deferred)
        });
        // Skipped before there is a state, and later: by a value, and by a gradient.
        let (nan, infinity) = (f32::NAN, f32::INFINITY);
        for (value, factor, reason) in [
            (nan, 1.0, "second is not finite"),
            (0.5, nan, "the gradient of norm.gamma is not finite"),
            (0.5, 1.0, ""),
            (0.5, 1e-3, ""),
            (infinity, 1.0, "second is not finite"),
            (0.5, infinity, "the gradient of norm.gamma is not finite"),
            (0.5, 1.0, ""),
        ] {
            let before = weights(&direct);
            let (report, values, copies) = step(&mut direct, value, factor);
            let (deferred_report, deferred_values, deferred_copies) =
                step(&mut deferred, value, factor);
            let skipped = (!reason.is_empty()).then(|| SkipReason::NotFinite(reason.into()));
            assert_eq!(
                (&report.skipped, &deferred_report.skipped),
                (&skipped, &skipped)
            );
            let norms = [report.grad_norm, deferred_report.grad_norm].map(f32::to_bits);
            assert_eq!(norms[0], norms[1]);
            assert_eq!(format!("{values:?}"), format!("{deferred_values:?}"));
            assert_eq!(weights(&direct), weights(&deferred), "{reason}");
            assert_eq!(weights(&direct) == before, skipped.is_some(), "{reason}");
            if skipped.is_none() {
                assert_eq!((copies, deferred_copies), (1, 1));
            }
        }
    }
}
