//! Parameter groups: learning rate, weight decay and optimizer by path.

use burn::prelude::*;
use vlp_train::{GroupConfig, OptimizerKind, TrainError, Trainer, TrainerConfig};

use crate::net::{Net, Parts, assert_close, config, inputs, step, values};

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
fn norms_and_biases_are_decayed_only_if_configured() {
    let mut config = config();
    config.optimizer.weight_decay = 0.5;
    // AdamW's first step has the size of the learning rate: 2 * (1 - 0.1 * 0.5) - 0.1.
    let (decayed, not_decayed) = (1.8, 1.9);
    let layer = [decayed, not_decayed, not_decayed];
    let expected = [layer, layer].concat();
    assert_close(&train(config.clone(), 1), &expected);
    config.optimizer.decay_norms_and_biases = true;
    assert_close(&train(config, 1), &[decayed; 6]);
}

#[test]
fn a_group_has_its_own_learning_rate_and_decay() {
    let mut config = config();
    config.optimizer.weight_decay = 0.5;
    config.optimizer.groups = vec![GroupConfig::new(r"^backbone\.", 0.01).with_weight_decay(1.0)];
    // 2 * (1 - 0.01 * 1) - 0.01 for the backbone's weight; its bias and gamma are not decayed.
    let expected = [1.97, 1.99, 1.99, 1.8, 1.9, 1.9];
    assert_close(&train(config, 1), &expected);
}

#[test]
fn the_last_matching_group_applies() {
    let group = |pattern: &str, learning_rate| {
        GroupConfig::new(pattern, learning_rate).with_weight_decay(0.0)
    };
    let mut config = config();
    config.optimizer.groups = vec![group("^backbone", 0.2), group("bias$", 0.3)];
    assert_close(&train(config, 1), &[1.8, 1.7, 1.8, 1.9, 1.7, 1.9]);
}

#[test]
fn a_group_can_use_sgd_with_momentum() {
    let mut config = config();
    config.optimizer.groups = vec![
        GroupConfig::new("^backbone", 0.01)
            .with_weight_decay(0.5)
            .with_kind(OptimizerKind::Sgd { momentum: 0.9 }),
    ];
    // As PyTorch: g = 1 + 0.5 w, v = g + 0.9 v. Weight: v = 2, then 1.99 + 1.8; bias: v = 1, then 1.9.
    let (weight, bias) = (2.0 - 0.02 - 0.0379, 2.0 - 0.01 - 0.019);
    let expected = [weight, bias, bias, 1.8, 1.8, 1.8];
    assert_close(&train(config, 2), &expected);
}

#[test]
fn a_group_and_its_norm_are_frozen_until_the_configured_fraction() {
    let mut config = config();
    config.steps = 8;
    config.optimizer.groups = vec![
        GroupConfig::new("^norm", 0.1)
            .with_weight_decay(0.0)
            .with_kind(OptimizerKind::Sgd { momentum: 0.9 })
            .with_frozen_until(0.5),
    ];
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
    let initial = state(trainer.model());
    for step in 0..8 {
        trainer
            .step(0, |net, _| {
                Ok::<_, TrainError>(Ok(net.loss(inputs(step, 8))))
            })
            .unwrap();
        let current = state(trainer.model());
        let frozen = current.0 == initial.0 && current.1 == initial.1;
        assert_eq!(frozen, step < 4, "step {step}: {current:?}");
        assert_ne!(current.2, initial.2, "the linear layer is not frozen");
    }
}

#[test]
fn the_last_matching_group_says_what_is_frozen() {
    let frozen = GroupConfig::new("^norm", 0.1).with_frozen_until(1.0);
    let trained = |pattern: &str| GroupConfig::new(pattern, 0.1);
    // Whether gamma, beta and the running statistics stay as they are. A norm's flag is named `training`.
    for (groups, expected) in [
        (vec![frozen.clone()], [true, true, true]),
        (
            vec![frozen.clone(), trained("^norm")],
            [false, false, false],
        ),
        (vec![trained("^norm"), frozen.clone()], [true, true, true]),
        (vec![frozen.clone(), trained("gamma$")], [false, true, true]),
        (
            vec![frozen.clone(), trained("gamma$"), frozen.clone()],
            [true, true, true],
        ),
    ] {
        let mut config = config();
        config.optimizer.groups = groups.clone();
        let mut trainer = Trainer::new(Net::new(), config).unwrap();
        let state = |net: &Net| {
            let norm = &net.norm;
            [
                values(norm.gamma.val()),
                values(norm.beta.val()),
                values(norm.running_mean.value_sync()),
            ]
        };
        let before = state(trainer.model());
        step(&mut trainer);
        let after = state(trainer.model());
        let unchanged = [0, 1, 2].map(|index| before[index] == after[index]);
        assert_eq!(unchanged, expected, "{groups:?}");
    }
}

#[test]
fn a_group_without_a_parameter_is_refused() {
    let mut config = config();
    config.optimizer.groups = vec![
        GroupConfig::new("^backbone", 0.01),
        GroupConfig::new("^backbon\\.", 0.01),
    ];
    let error = Trainer::new(Parts::new(), config).unwrap_err().to_string();
    assert!(
        error.contains(r"train.optimizer.groups.pattern = ^backbon\.: matches no parameter"),
        "{error}"
    );
    assert!(error.contains("such as head."), "{error}");
}
