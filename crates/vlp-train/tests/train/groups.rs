//! Parameter groups: rates, decay and rule by path.

use vlp_train::{GroupConfig, OptimizerKind, TrainError, Trainer, TrainerConfig};

use crate::net::{Parts, assert_close, config};

fn train(config: TrainerConfig, steps: usize) -> [f32; 6] {
    let mut trainer = Trainer::new(Parts::new(), config).unwrap();
    for _ in 0..steps {
        trainer
            .step(0, |parts, _| {
                Ok::<_, TrainError>(Ok(parts.loss([1.0, 1.0])))
            })
            .unwrap();
    }
    trainer.model.firsts()
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
