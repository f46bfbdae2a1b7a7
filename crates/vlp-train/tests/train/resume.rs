//! Going on from a checkpoint is the same as never having stopped.

use vlp_train::{CheckpointStore, GroupConfig, OptimizerKind, TrainError, Trainer, TrainerConfig};

use crate::net::{Net, config, step};

/// Batch norm, momentum, AdamW, clipping and a moving average.
fn everything() -> TrainerConfig {
    let mut config = config();
    config.ema_decay = 0.9;
    config.optimizer.clip_norm = 1.0;
    config.optimizer.groups = vec![GroupConfig {
        pattern: r"^linear\.weight".into(),
        learning_rate: 0.05,
        weight_decay: 0.1,
        kind: OptimizerKind::Sgd { momentum: 0.9 },
        frozen_until: 0.0,
    }];
    config
}

fn new() -> Trainer<Net> {
    Trainer::new(Net::new(), everything()).unwrap()
}

#[test]
fn a_resumed_run_saves_the_bytes_of_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), 1).unwrap();
    let mut unbroken = new();
    for _ in 0..9 {
        step(&mut unbroken);
    }
    let mut broken = new();
    for _ in 0..3 {
        for _ in 0..3 {
            step(&mut broken);
        }
        store
            .save(&broken.state("c"), &broken.save().unwrap(), None)
            .unwrap();
        broken = new().resume(&store.latest().unwrap().0, "c").unwrap();
    }
    assert_eq!(broken.state("c"), unbroken.state("c"));
    assert!(broken.save().unwrap() == unbroken.save().unwrap());
    assert!(new().save().unwrap() != unbroken.save().unwrap());
}

#[test]
fn another_configuration_or_another_module_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path(), 1).unwrap();
    let trainer = new();
    store
        .save(&trainer.state("c"), &trainer.save().unwrap(), None)
        .unwrap();
    let checkpoint = store.latest().unwrap().0;
    for (result, part) in [
        (
            new().resume(&checkpoint, "d").err(),
            "hash of the configuration",
        ),
        (
            Trainer::new(crate::net::Parts::new(), config())
                .unwrap()
                .resume(&checkpoint, "c")
                .err(),
            "Missing tensors",
        ),
    ] {
        let error = result.unwrap();
        assert!(matches!(error, TrainError::Mismatch { .. }));
        let message = error.to_string();
        assert!(
            message.contains(part) && message.contains("step-00000000"),
            "{message}"
        );
    }
}
