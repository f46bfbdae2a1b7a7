//! Clipping, accumulation, the schedule and the moving average.

use burn::prelude::*;
use vlp_train::{
    Decay, GroupConfig, OptimizerKind, ScheduleConfig, TrainError, Trainer, TrainerConfig,
};

use crate::net::{Net, Parts, assert_close, config, inputs, step, values};

/// Plain gradient descent at rate 1: a step takes off the gradient itself.
fn descent() -> TrainerConfig {
    let mut config = config();
    config.optimizer.groups = vec![GroupConfig {
        pattern: ".*".into(),
        learning_rate: 1.0,
        weight_decay: 0.0,
        kind: OptimizerKind::Sgd { momentum: 0.0 },
        frozen_until: 0.0,
    }];
    config
}

fn constant(trainer: &mut Trainer<Parts>, grads: [f32; 2]) -> vlp_train::StepReport {
    trainer
        .step(0, |parts, _| Ok::<_, TrainError>(Ok(parts.loss(grads))))
        .unwrap()
}

#[test]
fn gradients_are_clipped_by_their_global_norm() {
    // Six parameters of gradient (3, 4): norm sqrt(6 * 25).
    let norm = 150f32.sqrt();
    for (limit, factor) in [
        (0.0, 1.0),
        (13.0, 1.0),
        (1.0, 1.0 / norm),
        (6.0, 6.0 / norm),
    ] {
        let mut config = descent();
        config.optimizer.clip_norm = limit;
        let mut trainer = Trainer::new(Parts::new(), config).unwrap();
        let report = constant(&mut trainer, [3.0, 4.0]);
        assert_close(&[report.grad_norm], &[norm]);
        for part in [&trainer.model().backbone, &trainer.model().head] {
            for param in [&part.weight, &part.bias, &part.gamma] {
                let wanted = [2.0 - 3.0 * factor, 2.0 - 4.0 * factor];
                assert_close(&values(param.val()), &wanted);
            }
        }
    }
}

#[test]
fn batches_side_by_side_are_batches_in_turn() {
    // Without a batch norm the threads share nothing: the very bits of one batch after the other.
    let run = |side_by_side: bool| {
        let mut config = config();
        (config.accumulate, config.side_by_side) = (2, side_by_side);
        let mut trainer = Trainer::new(Net::new(), config).unwrap();
        for at in 0..5 {
            let parts = [inputs(2 * at, 4), inputs(2 * at + 1, 4)];
            let (report, beside) = trainer
                .step_side_by_side(0, |net: &Net, micro| {
                    let x = parts[micro].clone();
                    let truth = x.clone().sum_dim(1);
                    let loss = (net.linear.forward(x) - truth).square().mean();
                    Ok::<_, TrainError>((Ok(loss), (micro, std::thread::current().id())))
                })
                .unwrap();
            assert_eq!(report.skipped, None);
            let [(0, first), (1, second)] = beside[..] else {
                panic!("{beside:?}");
            };
            assert_eq!(first != second, side_by_side, "a thread each");
        }
        values(trainer.model().linear.weight.val())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_reason_to_skip_on_one_thread_skips_the_step() {
    let mut config = config();
    (config.accumulate, config.side_by_side) = (2, true);
    let mut trainer = Trainer::new(Net::new(), config).unwrap();
    let before = values(trainer.model().linear.weight.val());
    let (report, beside) = trainer
        .step_side_by_side(0, |net: &Net, micro| {
            let loss = net.loss(inputs(1, 4));
            let loss = if micro == 1 {
                Err("too bad".to_string())
            } else {
                Ok(loss)
            };
            Ok::<_, TrainError>((loss, micro))
        })
        .unwrap();
    assert_eq!(
        (report.skipped.as_deref(), beside),
        (Some("too bad"), vec![0, 1])
    );
    assert_eq!((trainer.step_count(), trainer.skipped()), (1, 1));
    assert_eq!(values(trainer.model().linear.weight.val()), before);
}

#[test]
fn accumulation_equals_one_large_batch() {
    // Without a batch norm, the mean over 3 batches of 4 is the mean over 12.
    let loss = |net: &Net, x: Tensor<2>| {
        let truth = x.clone().sum_dim(1);
        (net.linear.forward(x) - truth).square().mean()
    };
    let (mut small, mut large) = (config(), config());
    (small.accumulate, small.optimizer.clip_norm) = (3, 0.5);
    large.optimizer.clip_norm = 0.5;
    let mut small = Trainer::new(Net::new(), small).unwrap();
    let mut large = Trainer::new(Net::new(), large).unwrap();
    for at in 0..5 {
        let parts: Vec<Tensor<2>> = (0..3).map(|i| inputs(at * 3 + i, 4)).collect();
        let one = small
            .step(0, |net, micro| {
                Ok::<_, TrainError>(Ok(loss(net, parts[micro].clone())))
            })
            .unwrap();
        let whole = Tensor::cat(parts.clone(), 0);
        let all = large
            .step(0, |net, _| {
                Ok::<_, TrainError>(Ok(loss(net, whole.clone())))
            })
            .unwrap();
        assert_close(&[one.grad_norm], &[all.grad_norm]);
    }
    let weights = |t: &Trainer<Net>| values(t.model().linear.weight.val());
    assert_close(&weights(&small), &weights(&large));
    assert!((weights(&small)[0] - 0.5).abs() > 0.1, "it has moved");
}

#[test]
fn the_schedule_scales_every_rate() {
    let mut config = descent();
    config.steps = 4;
    config.schedule = ScheduleConfig {
        warmup_steps: 2,
        warmup_from: 0.0,
        decay: Decay::Linear { floor: 0.0 },
    };
    let mut trainer = Trainer::new(Parts::new(), config).unwrap();
    let mut at = 2.0;
    for factor in [0.5, 1.0, 1.0, 0.5] {
        let report = constant(&mut trainer, [0.1, 0.1]);
        assert!((report.rate_factor - factor).abs() < 1e-12);
        at -= 0.1 * factor as f32;
        assert_close(&trainer.model().firsts(), &[at; 6]);
    }
}

#[test]
fn the_average_follows_weights_and_running_statistics() {
    let mut config = config();
    config.ema_decay = 0.75;
    let mut trainer = Trainer::new(Net::new(), config).unwrap();
    let read = |net: &Net| {
        let mut all = values(net.linear.weight.val());
        all.extend(values(net.norm.running_mean.value()));
        all
    };
    let mut average = read(&trainer.model().valid());
    for _ in 0..4 {
        step(&mut trainer);
        let now = read(&trainer.model().valid());
        for (average, now) in average.iter_mut().zip(now) {
            *average = 0.75 * *average + 0.25 * now;
        }
        assert_close(&read(&trainer.shipped()), &average);
    }
    assert!(read(&trainer.model().valid()) != average, "they differ");
}

#[test]
fn impossible_values_are_named() {
    type Change = fn(&mut TrainerConfig);
    let cases: [(Change, &str); 9] = [
        (|c| c.steps = 0, "train.steps = 0"),
        (|c| c.accumulate = 0, "train.accumulate = 0"),
        (|c| c.ema_decay = 1.0, "train.ema_decay = 1"),
        (
            |c| c.schedule.warmup_steps = 101,
            "train.schedule.warmup_steps = 101",
        ),
        (
            |c| c.optimizer.learning_rate = f64::NAN,
            "train.optimizer.learning_rate = NaN",
        ),
        (
            |c| c.optimizer.weight_decay = -1.0,
            "train.optimizer.weight_decay = -1",
        ),
        (|c| c.optimizer.beta2 = 1.0, "train.optimizer.beta2 = 1"),
        (|c| c.optimizer.epsilon = 0.0, "train.optimizer.epsilon = 0"),
        (
            |c| c.optimizer.clip_norm = -0.1,
            "train.optimizer.clip_norm = -0.1",
        ),
    ];
    for (spoil, part) in cases {
        let mut config = config();
        spoil(&mut config);
        let message = config.validate().unwrap_err().to_string();
        assert!(
            message.contains(part) && message.contains("use ") | message.contains("shorten"),
            "{message}"
        );
    }
    let mut config = descent();
    config.optimizer.groups[0].pattern = "(".into();
    let message = config.validate().unwrap_err().to_string();
    assert!(
        message.contains("groups.pattern = (: not a regular expression"),
        "{message}"
    );
}
