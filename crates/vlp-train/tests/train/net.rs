//! Modules and configurations that the tests use.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::prelude::*;
use vlp_train::{
    Checkpoint, CheckpointWriter, Decay, OptimizerConfig, ScheduleConfig, TrainError, Trainer,
    TrainerConfig,
};

/// A batch norm and a linear layer: `[batch, 2]` to `[batch, 1]`.
#[derive(Module, Debug)]
pub(crate) struct Net {
    pub(crate) norm: BatchNorm,
    pub(crate) linear: Linear,
}

impl Net {
    pub(crate) fn new() -> Self {
        let device = device();
        let mut linear = LinearConfig::new(2, 1).init(&device);
        linear.weight = Param::from_data([[0.5], [-0.25]], &device);
        linear.bias = Some(Param::from_data([0.125], &device));
        Self {
            norm: BatchNormConfig::new(2).init(&device),
            linear,
        }
    }

    /// Mean squared error against the sum of the inputs.
    pub(crate) fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        let target = x.clone().sum_dim(1);
        let y = self.norm.forward(x);
        (self.linear.forward(y) - target).square().mean()
    }
}

/// A weight, a bias and a norm's gamma, two values each.
#[derive(Module, Debug)]
pub(crate) struct Layer {
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) bias: Param<Tensor<1>>,
    pub(crate) gamma: Param<Tensor<1>>,
}

/// Two layers, which groups select by their paths.
#[derive(Module, Debug)]
pub(crate) struct Parts {
    pub(crate) backbone: Layer,
    pub(crate) head: Layer,
}

impl Parts {
    /// Every value is 2.
    pub(crate) fn new() -> Self {
        let layer = || Layer {
            weight: Param::from_data([2.0, 2.0], &device()),
            bias: Param::from_data([2.0, 2.0], &device()),
            gamma: Param::from_data([2.0, 2.0], &device()),
        };
        Self {
            backbone: layer(),
            head: layer(),
        }
    }

    /// A loss with gradient `grads` for every parameter.
    pub(crate) fn loss(&self, grads: [f32; 2]) -> Tensor<1> {
        let grads = Tensor::<1>::from_data(grads, &device());
        [&self.backbone, &self.head]
            .iter()
            .flat_map(|p| [&p.weight, &p.bias, &p.gamma])
            .map(|param| (param.val() * grads.clone()).sum())
            .reduce(|a, b| a + b)
            .unwrap()
    }

    /// First value of weight, bias and gamma of the backbone, then of the head.
    pub(crate) fn firsts(&self) -> [f32; 6] {
        let first = |p: &Param<Tensor<1>>| p.val().into_data().iter::<f32>().next().unwrap();
        let (b, h) = (&self.backbone, &self.head);
        [&b.weight, &b.bias, &b.gamma, &h.weight, &h.bias, &h.gamma].map(first)
    }
}

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

/// `[rows, 2]` inputs, a pure function of `seed`.
pub(crate) fn inputs(seed: u64, rows: usize) -> Tensor<2> {
    let values: Vec<f32> = (0..rows as u64 * 2)
        .map(|i| ((seed * 31 + i * 17) % 23) as f32 / 11.0 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [rows, 2]), &device())
}

/// AdamW at 0.1 without decay, clipping, warm-up or average.
pub(crate) fn config() -> TrainerConfig {
    TrainerConfig::new(100)
        .with_accumulate(1)
        .with_data_parallel_halves(false)
        .with_optimizer(
            OptimizerConfig::default()
                .with_learning_rate(0.1)
                .with_weight_decay(0.0)
                .with_beta1(0.9)
                .with_beta2(0.999)
                .with_epsilon(1e-8)
                .with_decay_norms_and_biases(false)
                .with_clip_norm(0.0)
                .with_groups(vec![]),
        )
        .with_schedule(
            ScheduleConfig::default()
                .with_warmup_steps(0)
                .with_warmup_from(0.0)
                .with_decay(Decay::Constant),
        )
        .with_ema_decay(0.0)
        .with_max_skipped(3)
}

/// One step on `inputs(step)`.
pub(crate) fn step(trainer: &mut Trainer<Net>) {
    let seed = trainer.step_count();
    let report = trainer
        .step(9, |net, _| {
            Ok::<_, TrainError>(Ok(net.loss(inputs(seed, 4))))
        })
        .unwrap();
    assert_eq!(report.skipped, None);
}

/// Saves a checkpoint of the configuration `c`.
pub(crate) fn save<M: Module>(trainer: &Trainer<M>, writer: &CheckpointWriter) -> Checkpoint {
    let (state, files) = (trainer.state("c"), trainer.checkpoint_files().unwrap());
    writer.save(&state, &files, None).unwrap();
    writer.store().latest().unwrap().0
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// Asserts equality within 1e-5, a few `f32` roundings of values of this size.
pub(crate) fn assert_close(actual: &[f32], expected: &[f32]) {
    let close = actual
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(
        close && actual.len() == expected.len(),
        "{actual:?}, expected {expected:?}"
    );
}
