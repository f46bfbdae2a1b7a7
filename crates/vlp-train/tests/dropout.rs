//! The device's random numbers in a step. They are those of the process: this test program has one test.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use burn::nn::{DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use vlp_train::{TrainError, Trainer, TrainerConfig};

#[test]
fn each_micro_batch_has_random_numbers_of_its_own() {
    let device = Device::flex().autodiff();
    let config = TrainerConfig::new(2).with_accumulate(8);
    // Micro-batch 3 draws `extra` numbers more, which must not change those of the next ones.
    let masks = |seed: u64, extra: usize| {
        let net = LinearConfig::new(2, 1).init(&device);
        let mut trainer = Trainer::new(net, config.clone()).unwrap();
        let mut masks = vec![];
        for _ in 0..2 {
            let step = trainer.step(seed, |net: &Linear, index| {
                let ones = Tensor::<1>::ones([64], &device);
                let mask = DropoutConfig::new(0.5).init().forward(ones);
                masks.push(format!("{}", mask.into_data()));
                if index == 3 {
                    let more = Tensor::<1>::ones([1 + extra], &device);
                    let _ = DropoutConfig::new(0.5).init().forward(more).into_data();
                }
                let x = Tensor::<2>::ones([1, 2], &device);
                Ok::<_, TrainError>(Ok(net.forward(x).mean()))
            });
            step.unwrap();
        }
        masks
    };
    let first = masks(1, 0);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 16);
    assert_eq!(masks(1, 7), first);
    assert_ne!(masks(2, 0), first);
}
