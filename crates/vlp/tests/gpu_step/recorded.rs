//! Recorded steps of a small module have the bits of steps without graphs.

use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;
use vlp_ops::capture::{StepGraph, Value};
use vlp_ops::{LayerNorm, dropout};
use vlp_train::{
    BatchLoss, Decay, GroupConfig, OptimizerKind, ScheduleConfig, SkipReason, StepCaptureReport,
    StepInputs, TrainError, Trainer, TrainerConfig,
};

use crate::outcome::{self, Outcome};

const STEPS: u64 = 20;
/// The step whose input is not a number.
const NOT_FINITE: u64 = 11;
/// A step of another shape, and one whose resumed run starts there.
const OTHER_SHAPE: u64 = 14;
const RESUMED: u64 = 9;

/// Parameters of both optimizers, running statistics, and dropout in both of its kernels.
#[derive(Module, Debug)]
struct Net {
    inner: Linear,
    batch_norm: BatchNorm,
    dropout: Dropout,
    norm: LayerNorm,
    head: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let net = Self {
            inner: LinearConfig::new(4, 8).init(device),
            batch_norm: BatchNormConfig::new(8).init(device),
            dropout: DropoutConfig::new(0.2).init(),
            norm: LayerNorm::new(8, 1e-6, device),
            head: LinearConfig::new(8, 3).init(device),
        };
        // The same in every run.
        net.map(&mut Fill(0))
    }

    fn loss(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        let rows = x.dims()[0];
        let x = self.inner.forward(x).reshape([rows, 8, 1, 1]);
        let x = self.batch_norm.forward(x).reshape([rows, 8]);
        let residual = dropout(&self.dropout, relu(x));
        let x = self
            .norm
            .forward_residual(residual.clone(), residual, &self.dropout);
        let errors = (self.head.forward(x) - y).square();
        errors
            .reshape([rows * 3])
            .sum_dim(0)
            .div_scalar(rows as f64)
    }
}

struct Fill(usize);

impl burn::module::ModuleMapper for Fill {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        let seed = self.0;
        self.0 += 1;
        param.map(|old| {
            // Scales and running variances stay positive.
            let data = values(old.shape().num_elements(), seed as u64);
            let data: Vec<f32> = data.iter().map(|value| 0.3 + 0.5 * value.abs()).collect();
            let data = TensorData::new(data, old.shape());
            Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad())
        })
    }
}

/// Numbers between -1 and 1.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let number = |index: usize| vlp_ops::split_mix(seed, index as u64) >> 40;
    let numbers = (0..count).map(|index| number(index) as f32 / (1u32 << 23) as f32 - 1.0);
    numbers.collect()
}

fn config(capture: bool) -> TrainerConfig {
    let mut config = TrainerConfig::new(STEPS)
        .with_accumulate(2)
        .with_ema_decay(0.9)
        .with_capture(capture)
        .with_schedule(
            ScheduleConfig::default()
                .with_warmup_steps(4)
                .with_decay(Decay::Cosine { floor: 0.1 }),
        );
    config.optimizer.learning_rate = 0.05;
    config.optimizer.clip_norm = 0.5;
    let sgd = OptimizerKind::Sgd { momentum: 0.9 };
    let mut frozen = GroupConfig::new("^inner", 0.01);
    // The first five steps.
    frozen.frozen_until = 0.25;
    let without_momentum = OptimizerKind::Sgd { momentum: 0.0 };
    config.optimizer.groups = vec![
        GroupConfig::new("^head", 0.02).with_kind(sgd),
        GroupConfig::new("^norm", 0.02).with_kind(without_momentum),
        frozen,
    ];
    config
}

fn inputs(step: u64, index: usize, device: &Device) -> StepInputs {
    let rows = if step == OTHER_SHAPE { 5 } else { 6 };
    let seed = 2 * step + index as u64;
    let mut x = values(rows * 4, 100 + seed);
    if step == NOT_FINITE {
        x[0] = f32::NAN;
    }
    let matrix = |data: Vec<f32>, width: usize| -> Value {
        Tensor::<2>::from_data(TensorData::new(data, [rows, width]), device).into()
    };
    StepInputs {
        values: vec![matrix(x, 4), matrix(values(rows * 3, 200 + seed), 3)],
        key: vec![rows],
    }
}

fn train(mut trainer: Trainer<Net>, until: u64, device: &Device) -> (Trainer<Net>, Outcome) {
    let mut steps = vec![];
    while trainer.step_count() < until {
        let step = trainer.step_count();
        let inputs = [0, 1].map(|index| inputs(step, index, device));
        let loss = |net: &Net, index: usize, values: &[Value]| {
            let [x, y] = [0, 1].map(|i| Tensor::<2>::from_inner(values[i].tensor()));
            let loss = net.loss(x, y);
            Ok::<_, TrainError>(BatchLoss {
                names: vec!["loss".into()],
                values: Some(loss.clone().inner()),
                ..BatchLoss::new(Ok(loss), index)
            })
        };
        let (report, outputs) = trainer.step_with_inputs(3, &inputs, loss).unwrap();
        let indices: Vec<usize> = outputs.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, (0..outputs.len()).collect::<Vec<_>>());
        steps.push(outcome::step((report, outputs)));
    }
    let files = trainer.checkpoint_files().unwrap();
    (trainer, Outcome { steps, files })
}

fn new_trainer(capture: bool, device: &Device) -> Trainer<Net> {
    Trainer::new(Net::new(&device.clone().autodiff()), config(capture)).unwrap()
}

pub(crate) fn gpu() -> Device {
    Device::wgpu(Default::default())
}

#[test]
fn recorded_steps_have_the_bits_of_steps_without_graphs() {
    let device = gpu();
    let (_, expected) = train(new_trainer(false, &device), STEPS, &device);
    let (trainer, outcome) = train(new_trainer(true, &device), STEPS, &device);
    outcome.assert_equals(&expected, NOT_FINITE);
    // Of each graph, the first three steps run without it; so does one that is not finite, and one of another shape.
    let report = trainer.capture_report();
    println!("{report:?}");
    assert_eq!((report.recordings, report.replays), (2, 2 + 10));
    assert_eq!(report.fallbacks, vec![]);
}

#[test]
fn a_resumed_run_has_the_bits_of_an_uninterrupted_one() {
    let device = gpu();
    let (_, expected) = train(new_trainer(true, &device), STEPS, &device);
    let (trainer, first) = train(new_trainer(true, &device), RESUMED, &device);
    let trainer = outcome::resumed(trainer, &first.files, new_trainer(true, &device));
    let (trainer, second) = train(trainer, STEPS, &device);
    assert!(trainer.capture_report().replays > 0);
    let steps = [first.steps, second.steps].concat();
    assert_eq!(steps, expected.steps);
    assert!(second.files == expected.files, "the checkpoints differ");
}

#[test]
fn evaluated_weights_are_not_those_of_later_steps() {
    let device = gpu();
    // Before the first graph is recorded, and later.
    for step in [1, 15] {
        let (trainer, _) = train(new_trainer(true, &device), step, &device);
        // Collected at once, since burn copies a tensor's values from the GPU when they are first accessed.
        let weights =
            |net: &Net| -> Vec<f32> { net.head.weight.val().into_data().iter().collect() };
        let model = trainer.eval_model();
        let before = weights(&model);
        let (trainer, _) = train(trainer, step + 5, &device);
        assert_eq!(weights(&model), before);
        assert_ne!(weights(&trainer.eval_model()), before);
    }
}

/// A micro-batch of which no sample could be read has no tensors, and contributes no gradient.
#[test]
fn a_step_that_cannot_be_recorded_leaves_the_graphs_of_others() {
    let device = gpu();
    let run = |capture: bool| {
        let mut config = config(capture);
        // Without the group that is frozen at first.
        config.optimizer.groups.pop();
        let mut trainer = Trainer::new(Net::new(&device.clone().autodiff()), config).unwrap();
        for is_empty in [false, false, false, false, true, true, true, false, false] {
            let mut inputs = [0, 1].map(|index| inputs(trainer.step_count(), index, &device));
            if is_empty {
                inputs[1] = StepInputs::default();
            }
            let loss = |net: &Net, _: usize, values: &[Value]| {
                let [x, y] = values else {
                    let reason = SkipReason::NoGradient("it is empty".into());
                    return Ok::<_, TrainError>(BatchLoss::new(Err(reason), ()));
                };
                let [x, y] = [x, y].map(|value| Tensor::<2>::from_inner(value.tensor()));
                Ok(BatchLoss::new(Ok(net.loss(x, y)), ()))
            };
            let (report, _) = trainer.step_with_inputs(3, &inputs, loss).unwrap();
            assert_eq!(report.skipped, None);
        }
        (
            trainer.checkpoint_files().unwrap(),
            trainer.capture_report(),
        )
    };
    let (expected, _) = run(false);
    let (files, report) = run(true);
    assert!(files == expected, "the checkpoints differ");
    // Of the graph's steps the first three run without it; of the others the first two are to observe and to record.
    assert_eq!((report.recordings, report.replays), (1, 3));
    let reason = "a micro-batch has no tensors".to_owned();
    assert_eq!(report.fallbacks, [(reason, 1)]);
}

#[test]
fn a_graph_is_replayed_for_its_shapes_and_on_its_thread_alone() {
    let device = gpu();
    let row = |values: &[f32]| -> Value { Tensor::<1>::from_floats(values, &device).into() };
    let mut graph = StepGraph::record(&device, &[row(&[1.0, 2.0])], |slots| {
        let doubled = slots[0].tensor::<1, Float>().mul_scalar(2.0);
        Ok((vec![doubled.into()], vec![]))
    })
    .unwrap();
    let inputs = [row(&[3.0, 4.0])];
    let outputs = graph.replay(&inputs).unwrap();
    let doubled: Vec<f32> = (outputs[0].tensor::<1, Float>().into_data().iter()).collect();
    assert_eq!(doubled, [6.0, 8.0]);
    for others in [vec![], vec![row(&[3.0])], vec![inputs[0].clone(); 2]] {
        let error = graph.replay(&others).unwrap_err();
        assert!(error.contains("other types or shapes"), "{error}");
    }
    let replay = || graph.replay(&inputs).unwrap_err();
    let error = std::thread::scope(|scope| scope.spawn(replay).join().unwrap());
    assert!(error.contains("another thread"), "{error}");
}

#[test]
fn what_cannot_be_recorded_runs_without_a_graph_and_says_why() {
    let report = |device: &Device, copies: bool| -> StepCaptureReport {
        let mut trainer = new_trainer(true, device);
        // Two steps may copy before it is refused.
        for step in 0..5 {
            let inputs = [0, 1].map(|index| inputs(step, index, device));
            let loss = |net: &Net, _: usize, values: &[Value]| {
                let [x, y] = [0, 1].map(|i| Tensor::<2>::from_inner(values[i].tensor()));
                // A value on the CPU, or one that is copied from it in the middle of the step.
                let factor: f32 = match copies {
                    true => vlp_ops::to_cpu(x.clone().inner().max())
                        .iter()
                        .next()
                        .unwrap(),
                    false => 1.5,
                };
                let factor = Tensor::<1>::from_floats([factor], &x.device());
                Ok::<_, TrainError>(BatchLoss::new(Ok(net.loss(x, y) * factor), ()))
            };
            trainer.step_with_inputs(3, &inputs, loss).unwrap();
        }
        trainer.capture_report()
    };
    let reasons = |report: StepCaptureReport| {
        assert_eq!((report.recordings, report.replays), (0, 0));
        let reasons = report.fallbacks.into_iter();
        reasons.map(|(reason, _)| reason).collect::<Vec<_>>()
    };
    let copied = reasons(report(&gpu(), true));
    assert_eq!(copied, ["the losses are computed from values on the CPU"]);
    let uploaded = reasons(report(&gpu(), false));
    println!("{uploaded:?}");
    assert!(
        uploaded.len() == 1 && uploaded[0].contains("write"),
        "{uploaded:?}"
    );
    assert_eq!(
        reasons(report(&Device::flex(), false)),
        ["the CPU has no graphs"]
    );
}
