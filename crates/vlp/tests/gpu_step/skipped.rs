//! A GPU decides without the CPU whether a step is skipped.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use vlp_ops::copies_to_cpu;
use vlp_train::{GroupConfig, OptimizerKind, SkipReason, TrainError, Trainer, TrainerConfig};

#[derive(Module, Debug)]
struct Net {
    adamw: Linear,
    sgd: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let layer = || Linear {
            weight: Param::from_data([[0.5, -0.25], [0.125, 0.75]], device),
            ..LinearConfig::new(2, 2).with_bias(false).init(device)
        };
        Self {
            adamw: layer(),
            sgd: layer(),
        }
    }

    fn weights(&self) -> Vec<f32> {
        let values = |layer: &Linear| layer.weight.val().into_data().iter().collect::<Vec<f32>>();
        [values(&self.adamw), values(&self.sgd)].concat()
    }
}

/// Weights after every step; the first and the fourth are not finite.
fn train(device: &Device) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    let mut config = TrainerConfig::new(6);
    config.optimizer.learning_rate = 0.1;
    config.optimizer.groups =
        vec![GroupConfig::new("^sgd", 0.1).with_kind(OptimizerKind::Sgd { momentum: 0.9 })];
    let mut trainer = Trainer::new(Net::new(&device), config).unwrap();
    let factors = [f32::NAN, 1.0, 0.5, f32::INFINITY, 1.0, 0.5];
    let steps = factors.into_iter().map(|factor| {
        let before = trainer.model().weights();
        let copies = copies_to_cpu();
        let report = trainer.step(0, |net, _| {
            let x = Tensor::<2>::from_data([[1.0, 2.0], [-0.5, 0.25]], &device);
            let y = net.sgd.forward(net.adamw.forward(x));
            Ok::<_, TrainError>(Ok(y.square().mean().mul_scalar(factor)))
        });
        let report = report.unwrap();
        let weights = trainer.model().weights();
        match factor.is_finite() {
            true => {
                assert_eq!(report.skipped, None);
                assert_eq!(copies_to_cpu() - copies, 1);
                assert!(weights != before);
            }
            false => {
                let text = "the gradient of adamw.weight is not finite";
                assert_eq!(report.skipped, Some(SkipReason::NotFinite(text.into())));
                assert_eq!(weights, before);
            }
        }
        weights
    });
    steps.collect()
}

#[test]
fn steps_that_are_not_finite_are_skipped_as_on_the_cpu() {
    let cpu = train(&Device::flex());
    let gpu = train(&Device::wgpu(Default::default()));
    for (cpu, gpu) in cpu.iter().flatten().zip(gpu.iter().flatten()) {
        assert!((cpu - gpu).abs() < 1e-4, "{cpu} {gpu}");
    }
}
