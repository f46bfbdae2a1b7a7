//! Clipping, accumulation, the schedule and the moving average.

use burn::nn::DropoutConfig;
use burn::prelude::*;
use vlp_train::{
    BatchLoss, Decay, GroupConfig, OptimizerKind, ScheduleConfig, SkipReason, TrainError, Trainer,
    TrainerConfig,
};

use crate::net::{Net, Parts, assert_close, config, inputs, step, values};

/// SGD with learning rate 1: a step subtracts the gradient.
fn sgd() -> TrainerConfig {
    let mut config = config();
    config.optimizer.groups = vec![
        GroupConfig::new(".*", 1.0)
            .with_weight_decay(0.0)
            .with_kind(OptimizerKind::Sgd { momentum: 0.0 }),
    ];
    config
}

fn constant_grads_step(trainer: &mut Trainer<Parts>, grads: [f32; 2]) -> vlp_train::StepReport {
    trainer
        .step(0, |parts, _| Ok::<_, TrainError>(Ok(parts.loss(grads))))
        .unwrap()
}

#[test]
fn gradients_are_clipped_by_global_norm() {
    // Six parameters with gradient (3, 4): the norm is sqrt(6 * 25).
    let norm = 150f32.sqrt();
    for (limit, factor) in [
        (0.0, 1.0),
        (13.0, 1.0),
        (1.0, 1.0 / norm),
        (6.0, 6.0 / norm),
    ] {
        let mut config = sgd();
        config.optimizer.clip_norm = limit;
        let mut trainer = Trainer::new(Parts::new(), config).unwrap();
        let report = constant_grads_step(&mut trainer, [3.0, 4.0]);
        assert_close(&[report.grad_norm], &[norm]);
        for layer in [&trainer.model().backbone, &trainer.model().head] {
            for param in [&layer.weight, &layer.bias, &layer.gamma] {
                let expected = [2.0 - 3.0 * factor, 2.0 - 4.0 * factor];
                assert_close(&values(param.val()), &expected);
            }
        }
    }
}

#[test]
fn concurrent_batches_equal_sequential_batches() {
    let run = |concurrent: bool| {
        let mut config = config();
        (config.accumulate, config.data_parallel_halves) = (2, concurrent);
        let mut trainer = Trainer::new(Net::new(), config).unwrap();
        for step in 0..5 {
            let batches = [inputs(2 * step, 4), inputs(2 * step + 1, 4)];
            let (report, outputs) = trainer
                .step_with_outputs(0, |net: &Net, index| {
                    let loss = net.loss(batches[index].clone());
                    let output = (index, format!("{:?}", std::thread::current().id()));
                    Ok::<_, TrainError>(BatchLoss::new(Ok(loss), output))
                })
                .unwrap();
            assert_eq!(report.skipped, None);
            let [((0, first), _), ((1, second), _)] = &outputs[..] else {
                panic!("{outputs:?}");
            };
            assert_eq!(first != second, concurrent, "thread ids");
        }
        trainer.checkpoint_files().unwrap()
    };
    assert!(run(true) == run(false));
}

#[test]
fn concurrent_batches_with_dropout_are_refused() {
    let run = |concurrent: bool, probability: f64| {
        let mut config = config();
        (config.accumulate, config.data_parallel_halves) = (2, concurrent);
        let mut trainer = Trainer::new(Net::new(), config).unwrap();
        let dropout = DropoutConfig::new(probability).init();
        let step = trainer.step_with_outputs(0, |net: &Net, index| {
            let x = vlp_ops::dropout(&dropout, inputs(index as u64, 4));
            Ok::<_, TrainError>(BatchLoss::new(Ok(net.loss(x)), ()))
        });
        step.map(|_| ())
    };
    for (concurrent, probability) in [(true, 0.0), (false, 0.0), (false, 0.5)] {
        run(concurrent, probability).unwrap();
    }
    let message = run(true, 0.5).unwrap_err().to_string();
    assert!(
        message.starts_with("train.data_parallel_halves = true") && message.ends_with("use false"),
        "{message}"
    );
}

#[test]
fn a_skip_reason_on_one_thread_skips_the_step() {
    let mut config = config();
    (config.accumulate, config.data_parallel_halves) = (2, true);
    let mut trainer = Trainer::new(Net::new(), config).unwrap();
    let before = values(trainer.model().linear.weight.val());
    let (report, outputs) = trainer
        .step_with_outputs(0, |net: &Net, index| {
            let loss = net.loss(inputs(1, 4));
            let loss = if index == 1 {
                Err(SkipReason::NotFinite("too bad".into()))
            } else {
                Ok(loss)
            };
            Ok::<_, TrainError>(BatchLoss::new(loss, index))
        })
        .unwrap();
    assert_eq!(
        (report.skipped, outputs),
        (
            Some(SkipReason::NotFinite("too bad".into())),
            vec![(0, vec![]), (1, vec![])]
        )
    );
    assert_eq!((trainer.step_count(), trainer.skipped()), (1, 1));
    assert_eq!(values(trainer.model().linear.weight.val()), before);
}

#[test]
fn accumulation_equals_one_large_batch() {
    // Without a batch norm, the mean over 3 batches of 4 is the mean over 12.
    let loss = |net: &Net, x: Tensor<2>| {
        let target = x.clone().sum_dim(1);
        (net.linear.forward(x) - target).square().mean()
    };
    let (mut small, mut large) = (config(), config());
    (small.accumulate, small.optimizer.clip_norm) = (3, 0.5);
    large.optimizer.clip_norm = 0.5;
    let mut small = Trainer::new(Net::new(), small).unwrap();
    let mut large = Trainer::new(Net::new(), large).unwrap();
    for step in 0..5 {
        let batches: Vec<Tensor<2>> = (0..3).map(|i| inputs(step * 3 + i, 4)).collect();
        let small_report = small
            .step(0, |net, index| {
                Ok::<_, TrainError>(Ok(loss(net, batches[index].clone())))
            })
            .unwrap();
        let joined = Tensor::cat(batches.clone(), 0);
        let large_report = large
            .step(0, |net, _| {
                Ok::<_, TrainError>(Ok(loss(net, joined.clone())))
            })
            .unwrap();
        assert_close(&[small_report.grad_norm], &[large_report.grad_norm]);
    }
    let weights = |t: &Trainer<Net>| values(t.model().linear.weight.val());
    assert_close(&weights(&small), &weights(&large));
    assert!((weights(&small)[0] - 0.5).abs() > 0.1, "the weight changed");
}

#[test]
fn the_schedule_scales_every_learning_rate() {
    let mut config = sgd();
    config.steps = 4;
    config.schedule = ScheduleConfig::default()
        .with_warmup_steps(2)
        .with_warmup_from(0.0)
        .with_decay(Decay::Linear { floor: 0.0 });
    let mut trainer = Trainer::new(Parts::new(), config).unwrap();
    let mut value = 2.0;
    for factor in [0.5, 1.0, 1.0, 0.5] {
        let report = constant_grads_step(&mut trainer, [0.1, 0.1]);
        // `config()` sets 0.1 outside the group.
        assert!((report.learning_rate - 0.1 * factor).abs() < 1e-12);
        value -= 0.1 * factor as f32;
        assert_close(&trainer.model().firsts(), &[value; 6]);
    }
}

#[test]
fn the_moving_average_includes_running_statistics() {
    let mut config = config();
    config.ema_decay = 0.75;
    let mut trainer = Trainer::new(Net::new(), config).unwrap();
    let read = |net: &Net| {
        let mut all_values = values(net.linear.weight.val());
        all_values.extend(values(net.norm.running_mean.value()));
        all_values
    };
    let mut average = read(&trainer.model().valid());
    for _ in 0..4 {
        step(&mut trainer);
        let current = read(&trainer.model().valid());
        for (average, current) in average.iter_mut().zip(current) {
            *average = 0.75 * *average + 0.25 * current;
        }
        assert_close(&read(&trainer.eval_model()), &average);
    }
    assert!(read(&trainer.model().valid()) != average, "they differ");
}

#[test]
fn invalid_values_are_named() {
    type Change = fn(&mut TrainerConfig);
    let cases: [(Change, &str); 10] = [
        (|c| c.steps = 0, "train.steps = 0"),
        (|c| c.accumulate = 0, "train.accumulate = 0"),
        (|c| c.ema_decay = 1.0, "train.ema_decay = 1"),
        (
            |c| c.schedule.warmup_steps = 101,
            "train.schedule.warmup_steps = 101",
        ),
        (
            |c| {
                c.schedule.decay = Decay::Step {
                    at: vec![0.5, 75.0],
                    factor: 0.1,
                };
            },
            "train.schedule.decay.at = 75",
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
    for (change, expected) in cases {
        let mut config = config();
        change(&mut config);
        let message = config.validate().unwrap_err().to_string();
        assert!(
            message.contains(expected) && message.contains("use ") | message.contains("shorten"),
            "{message}"
        );
    }
    let mut config = sgd();
    config.optimizer.groups[0].pattern = "(".into();
    let message = config.validate().unwrap_err().to_string();
    assert!(
        message.contains("groups.pattern = (: not a regular expression"),
        "{message}"
    );
}
