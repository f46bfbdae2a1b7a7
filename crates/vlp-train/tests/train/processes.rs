//! Training with several processes, here ranks as threads, gives the bytes of one process.

use std::sync::Arc;

use burn::module::Module;

use vlp_distributed::testing::run_ranks;
use vlp_distributed::{ProcessGroup, SingleProcess};
use vlp_train::{BatchLoss, SkipReason, TrainError, Trainer, TrainerConfig};

use crate::net::{Net, config, inputs, values};

/// Steps of a run.
const STEPS: u64 = 4;

fn everything(micro_batches: usize) -> TrainerConfig {
    let mut config = config();
    (config.accumulate, config.ema_decay, config.max_skipped) = (micro_batches, 0.9, 9);
    config.optimizer.clip_norm = 0.5;
    config
}

/// What a run leaves: the checkpoint, and a line for each step.
type Outcome = (Vec<(&'static str, Vec<u8>)>, Vec<String>);

/// The loss of a micro-batch, with the micro-batch's number in the values.
type Loss = fn(&Net, u64, usize) -> Result<BatchLoss<usize>, TrainError>;

fn run(config: &TrainerConfig, processes: Arc<dyn ProcessGroup>, loss: Loss) -> Outcome {
    let trainer = Trainer::new(Net::new(), config.clone()).unwrap();
    let mut trainer = trainer.with_processes(processes).unwrap();
    let mut lines = vec![];
    for step in 0..STEPS {
        let outcome = trainer.step_with_outputs(9, |net: &Net, index| loss(net, step, index));
        lines.push(format!("{outcome:?}"));
    }
    (trainer.checkpoint_files().unwrap(), lines)
}

/// Batch norm, and a value to report.
fn learn(net: &Net, step: u64, index: usize) -> Result<BatchLoss<usize>, TrainError> {
    let loss = net.loss(inputs(8 * step + index as u64, 4));
    Ok(BatchLoss {
        names: vec!["loss".into()],
        values: Some(loss.clone().without_autodiff()),
        ..BatchLoss::new(Ok(loss), index)
    })
}

/// Some micro-batches have no gradient of the norm, some none at all.
fn learn_in_parts(net: &Net, step: u64, index: usize) -> Result<BatchLoss<usize>, TrainError> {
    let x = inputs(8 * step + index as u64, 4);
    let loss = match index % 3 {
        0 => net.loss(x),
        1 => net.linear.forward(x).square().mean(),
        _ => x.sum(),
    };
    Ok(BatchLoss::new(Ok(loss), index))
}

/// In the second step, two micro-batches cannot be used.
fn skip_second(net: &Net, step: u64, index: usize) -> Result<BatchLoss<usize>, TrainError> {
    let mut batch = learn_in_parts(net, step, index)?;
    if step == 1 && index >= 2 {
        let reason = format!("micro-batch {index} is not finite");
        batch.loss = Err(SkipReason::NotFinite(reason));
    }
    Ok(batch)
}

#[test]
fn any_number_of_processes_gives_the_bytes_of_one() {
    let losses: [(&str, Loss); 3] = [
        ("batch norm", learn),
        ("missing gradients", learn_in_parts),
        ("a skipped step", skip_second),
    ];
    for (name, loss) in losses {
        for micro_batches in [3, 8] {
            let config = everything(micro_batches);
            let one = run(&config, Arc::new(SingleProcess), loss);
            for processes in [2, 3, 4, 8] {
                if processes > micro_batches {
                    continue;
                }
                for (rank, outcome) in run_ranks(processes, |group| run(&config, group, loss))
                    .into_iter()
                    .enumerate()
                {
                    let case = format!(
                        "{name}, {micro_batches} micro-batches, rank {rank} of {processes}"
                    );
                    assert_eq!(outcome.1, one.1, "{case}");
                    assert!(outcome.0 == one.0, "{case}");
                }
            }
        }
    }
}

#[test]
fn running_statistics_are_means_over_micro_batches_from_the_start_of_the_step() {
    let mut config = everything(3);
    config.optimizer.learning_rate = 0.0;
    let mut trainer = Trainer::new(Net::new(), config).unwrap();
    let batch = |index: usize| inputs(index as u64, 4);
    trainer
        .step(0, |net, index| {
            Ok::<_, TrainError>(Ok(net.loss(batch(index))))
        })
        .unwrap();
    let mean = values(trainer.model().valid().norm.running_mean.value());
    for (column, mean) in mean.into_iter().enumerate() {
        let batch_means = (0..3).map(|index| {
            let means = values(batch(index).mean_dim(0));
            // burn's momentum is 0.1, and the statistics begin at 0.
            0.1 * means[column]
        });
        let expected: f32 = batch_means.sum::<f32>() / 3.0;
        assert!(
            (mean - expected).abs() < 1e-6,
            "{mean}, expected {expected}"
        );
    }
}

#[test]
fn statistics_that_no_micro_batch_changes_keep_their_bits() {
    // The mean of seven equal numbers need not be that number; it is if that number is itself a mean of seven.
    let mut one = Trainer::new(Net::new(), everything(1)).unwrap();
    for _ in 0..20 {
        crate::net::step(&mut one);
        let mut trainer = Trainer::new(one.model().clone(), everything(7)).unwrap();
        let statistics = |trainer: &Trainer<Net>| {
            let norm = trainer.model().valid().norm;
            [norm.running_mean, norm.running_var].map(|state| values(state.value()))
        };
        let before = statistics(&trainer);
        let loss = |net: &Net, _: usize| {
            let y = net.linear.forward(inputs(0, 4));
            Ok::<_, TrainError>(Ok(y.square().mean()))
        };
        trainer.step(0, loss).unwrap();
        assert_eq!(statistics(&trainer), before);
    }
}

#[test]
fn an_error_of_one_rank_ends_all() {
    let config = everything(4);
    let errors = run_ranks(2, |group| {
        let trainer = Trainer::new(Net::new(), config.clone()).unwrap();
        let mut trainer = trainer.with_processes(group).unwrap();
        let outcome = trainer.step(0, |net, index| match index {
            3 => Err(TrainError::NoScore {
                path: "data".into(),
            }),
            _ => Ok(Ok(net.loss(inputs(0, 4)))),
        });
        outcome.unwrap_err().to_string()
    });
    assert!(
        errors[1].starts_with("data: no checkpoint has a score"),
        "{errors:?}"
    );
    assert_eq!(errors[0], format!("rank 1: {}", errors[1]));
}

#[test]
fn more_processes_than_micro_batches_are_refused() {
    let messages = run_ranks(3, |group| {
        let trainer = Trainer::new(Net::new(), everything(2)).unwrap();
        trainer.with_processes(group).unwrap_err().to_string()
    });
    for message in messages {
        assert!(
            message.starts_with("train.accumulate = 2: 3 processes need at least 3 micro-batches"),
            "{message}"
        );
    }
}
