//! Parameter groups: rates, decay and rule by path.

use burn::prelude::*;
use vlp_train::{GroupConfig, OptimizerKind, TrainError, Trainer, TrainerConfig};

use crate::net::{Net, Parts, assert_close, config, inputs};

fn train(config: TrainerConfig, steps: usize) -> [f32; 6] {
    let mut trainer = Trainer::new(Parts::new(), config).unwrap();
    for _ in 0..steps {
        trainer
            .step(0, |parts, _| {
                Ok::<_, TrainError>(Ok(parts.loss([1.0, 1.0])))
            })
            .unwrap();
    }
    trainer.model().firsts()
}

#[test]
fn norms_and_biases_are_not_decayed_unless_asked() {
    let mut config = config();
    config.optimizer.weight_decay = 0.5;
    // AdamW's first step moves by the rate, whatever the gradient: 2 * (1 - 0.1 * 0.5) - 0.1.
    let (decayed, plain) = (1.8, 1.9);
    let wanted = [decayed, plain, plain, decayed, plain, plain];
    assert_close(&train(config.clone(), 1), &wanted);
    config.optimizer.decay_norms_and_biases = true;
    assert_close(&train(config, 1), &[decayed; 6]);
}

#[test]
fn a_group_has_its_own_rate_and_decay() {
    let mut config = config();
    config.optimizer.weight_decay = 0.5;
    config.optimizer.groups = vec![GroupConfig {
        pattern: r"^backbone\.".into(),
        learning_rate: 0.01,
        weight_decay: 1.0,
        kind: OptimizerKind::Adamw,
        frozen_until: 0.0,
    }];
    // 2 * (1 - 0.01 * 1) - 0.01 for the backbone's weight; its bias and gain are not decayed.
    let wanted = [1.97, 1.99, 1.99, 1.8, 1.9, 1.9];
    assert_close(&train(config, 1), &wanted);
}

#[test]
fn the_last_of_several_matching_groups_holds() {
    let group = |pattern: &str, learning_rate| GroupConfig {
        pattern: pattern.into(),
        learning_rate,
        weight_decay: 0.0,
        kind: OptimizerKind::Adamw,
        frozen_until: 0.0,
    };
    let mut config = config();
    config.optimizer.groups = vec![group("^backbone", 0.2), group("bias$", 0.3)];
    assert_close(&train(config, 1), &[1.8, 1.7, 1.8, 1.9, 1.7, 1.9]);
}

#[test]
fn a_group_can_use_gradient_descent_with_momentum() {
    let mut config = config();
    config.optimizer.groups = vec![GroupConfig {
        pattern: "^backbone".into(),
        learning_rate: 0.01,
        weight_decay: 0.5,
        kind: OptimizerKind::Sgd { momentum: 0.9 },
        frozen_until: 0.0,
    }];
    // PyTorch's rule: g = 1 + 0.5 w, v = g + 0.9 v. Weight: v = 2, then 1.99 + 1.8; bias: v = 1, then 1.9.
    let (weight, bias) = (2.0 - 0.02 - 0.0379, 2.0 - 0.01 - 0.019);
    let wanted = [weight, bias, bias, 1.8, 1.8, 1.8];
    assert_close(&train(config, 2), &wanted);
}

#[test]
fn a_group_stands_still_with_its_norm_until_its_share_of_the_run() {
    let mut config = config();
    config.steps = 8;
    config.optimizer.groups = vec![GroupConfig {
        pattern: "^norm".into(),
        learning_rate: 0.1,
        weight_decay: 0.0,
        kind: OptimizerKind::Sgd { momentum: 0.9 },
        frozen_until: 0.5,
    }];
    let mut trainer = Trainer::new(Net::new(), config).unwrap();
    let state = |net: &Net| {
        let values = |t: Tensor<1>| -> Vec<f32> { t.into_data().iter().collect() };
        let weight: Vec<f32> = net.linear.weight.val().into_data().iter().collect();
        (
            values(net.norm.gamma.val()),
            values(net.norm.running_mean.value_sync()),
            weight,
        )
    };
    let first = state(trainer.model());
    for step in 0..8 {
        trainer
            .step(0, |net, _| {
                Ok::<_, TrainError>(Ok(net.loss(inputs(step, 8))))
            })
            .unwrap();
        let now = state(trainer.model());
        let still = now.0 == first.0 && now.1 == first.1;
        assert_eq!(still, step < 4, "step {step}: {now:?}");
        assert_ne!(now.2, first.2, "the rest moves");
    }
}
