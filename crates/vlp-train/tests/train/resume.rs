//! Resuming from a checkpoint equals an uninterrupted run.

use vlp_train::{
    CheckpointWriter, GroupConfig, MomentDtype, OptimizerKind, TrainError, Trainer, TrainerConfig,
};

use crate::net::{Net, Parts, config, save, step};

/// Batch norm, momentum, AdamW, clipping and a moving average.
fn everything() -> TrainerConfig {
    let mut config = config();
    config.ema_decay = 0.9;
    config.optimizer.clip_norm = 1.0;
    config.optimizer.groups = vec![
        GroupConfig::new(r"^linear\.weight", 0.05)
            .with_weight_decay(0.1)
            .with_kind(OptimizerKind::Sgd { momentum: 0.9 }),
    ];
    config
}

fn new() -> Trainer<Net> {
    Trainer::new(Net::new(), everything()).unwrap()
}

#[test]
fn a_resumed_run_saves_the_same_bytes_as_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    let mut uninterrupted = new();
    for _ in 0..9 {
        step(&mut uninterrupted);
    }
    let mut resumed = new();
    for _ in 0..3 {
        for _ in 0..3 {
            step(&mut resumed);
        }
        resumed = new().resume(&save(&resumed, &writer), "c").unwrap();
    }
    assert_eq!(resumed.state("c"), uninterrupted.state("c"));
    assert!(resumed.checkpoint_files().unwrap() == uninterrupted.checkpoint_files().unwrap());
    assert!(new().checkpoint_files().unwrap() != uninterrupted.checkpoint_files().unwrap());
}

#[test]
fn resume_refuses_another_configuration_or_module() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    let trainer = new();
    let checkpoint = save(&trainer, &writer);
    for (error, expected) in [
        (
            new().resume(&checkpoint, "d").err(),
            "hash of the configuration",
        ),
        (
            Trainer::new(Parts::new(), config())
                .unwrap()
                .resume(&checkpoint, "c")
                .err(),
            "Missing tensors",
        ),
    ] {
        let error = error.unwrap();
        assert!(matches!(error, TrainError::Mismatch { .. }));
        let message = error.to_string();
        assert!(
            message.contains(expected) && message.contains("step-00000000"),
            "{message}"
        );
    }
}

#[test]
fn moments_in_bf16_stay_so_where_a_resumed_step_has_no_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::open(folder.path(), 1).unwrap();
    let mut config = config();
    config.optimizer.moment_dtype = MomentDtype::Bf16;
    let new = || Trainer::new(Parts::new(), config.clone()).unwrap();
    let step = |trainer: &mut Trainer<Parts>, head: bool| {
        let loss = |parts: &Parts, _| {
            let backbone = parts.backbone.weight.val().square().sum();
            let loss = match head {
                true => backbone + parts.head.weight.val().square().sum(),
                false => backbone,
            };
            Ok::<_, TrainError>(Ok(loss))
        };
        assert_eq!(trainer.step(9, loss).unwrap().skipped, None);
    };
    let mut trainer = new();
    step(&mut trainer, true);
    let checkpoint = save(&trainer, &writer);
    let mut resumed = new().resume(&checkpoint, "c").unwrap();
    for head in [false, false, true] {
        step(&mut trainer, head);
        step(&mut resumed, head);
        assert!(resumed.checkpoint_files().unwrap() == trainer.checkpoint_files().unwrap());
    }
}
