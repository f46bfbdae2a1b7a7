//! Time of the parts of a training step in milliseconds and percent, with the FLOP of their matmuls and convolutions and the
//! FLOP/s, compared with those of a large matmul measured in the same run.
//!
//! `cargo run -p vlp --example measure profile [preset] [--quick] [--bf16] [--set KEY=VALUE]...`: `e2e-vlp-tiny` by default.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use vlp_data::Example;
use vlp_objectives::{ObjectiveSet, VisionLanguage, total};
use vlp_ops::{count_flops, flops, linear};
use vlp_train::Trainer;
use vlp_train::grad_scale::GradScale;
use vlp_train::grads::global_norm;
use vlp_vision::ResNet;

use crate::preset::{BoxResult, Learner, Preset, Visit, peak_memory, set_precision};

/// Steps before those that are measured: they allocate memory and the optimizer's state.
const WARM_UP: usize = 2;
/// Measured steps; the minimum time of each part is printed.
const REPETITIONS: usize = 12;
/// Size of the matmul that gives the peak.
const SIDE: usize = 2048;

const DATA: usize = 0;
const BACKBONE: usize = 1;
const ENCODER: usize = 2;
const LOSSES: usize = 3;
const BACKWARD: usize = 4;
const NORM: usize = 5;
const UPDATE: usize = 6;
const NAMES: [&str; 7] = [
    "data (collation)",
    "backbone forward",
    "encoder forward",
    "heads and losses",
    "backward",
    "gradient norm",
    "optimizer",
];

/// Milliseconds and FLOP of a part of a step.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    ms: f64,
    flop: f64,
}

impl Part {
    fn time<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let (before, start) = (flops(), Instant::now());
        let value = f();
        self.ms += start.elapsed().as_secs_f64() * 1e3;
        self.flop += (flops() - before) as f64;
        value
    }

    fn add(&mut self, other: Self, times: f64) {
        self.ms += times * other.ms;
        self.flop += times * other.flop;
    }

    fn minimum(all: impl Iterator<Item = Self>) -> Self {
        all.min_by(|a, b| a.ms.total_cmp(&b.ms)).unwrap_or_default()
    }

    fn gflops(&self) -> f64 {
        self.flop / self.ms.max(1e-9) / 1e6
    }
}

/// GFLOP/s of a large matmul on all threads, the maximum of all measurements.
struct Peak {
    left: Tensor<2>,
    right: Tensor<2>,
    gflops: f64,
}

impl Peak {
    fn new() -> Self {
        let normal = Distribution::Normal(0.0, 1.0);
        let random = || Tensor::random([SIDE, SIDE], normal, &Device::flex());
        Self {
            left: random(),
            right: random(),
            gflops: 0.0,
        }
    }

    fn measure(&mut self) {
        let mut part = Part::default();
        part.time(|| black_box(linear(self.left.clone(), self.right.clone(), None)));
        self.gflops = self.gflops.max(part.gflops());
    }
}

struct Profile<'a>(&'a mut Peak);

impl Visit for Profile<'_> {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        mut learner: Learner<M>,
        backbone: fn(&M) -> &ResNet,
    ) -> BoxResult {
        let config = &preset.config.train;
        let mut loading = Part::default();
        let examples = loading.time(|| preset.examples())?;
        let scale = GradScale::default();
        let mut optimizer = config.optimizer.init(&scale)?;
        let mut steps = vec![];
        for step in 0..WARM_UP + REPETITIONS {
            self.0.measure();
            let mut parts = [Part::default(); NAMES.len()];
            let mut accumulator = GradientsAccumulator::new();
            for _ in 0..config.accumulate {
                let grads = gradients(
                    preset,
                    &learner,
                    backbone(&learner.model),
                    &examples,
                    &mut parts,
                )?;
                accumulator.accumulate(&learner, grads);
            }
            let grads = accumulator.grads();
            parts[NORM].time(|| {
                let norm = global_norm(&learner, &grads);
                scale.clip(norm, config.optimizer.clip_norm as f32);
            });
            let learning_rates = config.optimizer.learning_rates(1.0)?;
            learner = parts[UPDATE].time(|| optimizer.step(learning_rates, learner, grads));
            if step >= WARM_UP {
                steps.push(parts);
            }
        }
        let mut trainer = Trainer::new(learner, config.clone())?;
        let mut whole_steps = vec![];
        for step in 0..WARM_UP + REPETITIONS {
            let mut part = Part::default();
            part.time(|| preset.step(&mut trainer, &examples))?;
            if step >= WARM_UP {
                whole_steps.push(part);
            }
        }
        let mut parts: [_; NAMES.len()] =
            std::array::from_fn(|i| Part::minimum(steps.iter().map(|step| step[i])));
        let backbone = parts[BACKBONE];
        parts[ENCODER].add(backbone, -1.0);
        let whole_step = Part::minimum(whole_steps.into_iter());
        print(preset, &parts, &whole_step, loading.ms, self.0.gflops);
        Ok(())
    }
}

/// Gradients of one batch.
fn gradients<M: VisionLanguage>(
    preset: &Preset,
    learner: &Learner<M>,
    backbone: &ResNet,
    examples: &[Example],
    parts: &mut [Part; NAMES.len()],
) -> Result<GradientsParams, Box<dyn Error>> {
    let collator = preset.data.collator(&preset.config);
    let batch =
        parts[DATA].time(|| collator.collate(&learner.objectives, examples, &preset.device))?;
    // The backbone alone first, then as a part of the model's pass.
    let features = parts[BACKBONE].time(|| backbone.forward(batch.images.pixels.clone()));
    drop(features);
    let encoded = parts[ENCODER].time(|| learner.encode(&batch))?;
    let loss = parts[LOSSES].time(|| {
        let losses = learner.objectives.losses(&encoded, &batch.targets());
        drop(encoded);
        losses.map(|losses| total(&losses))
    })?;
    let loss = loss.ok_or("the preset has no loss")?;
    let loss = loss.div_scalar(preset.config.train.accumulate as f64);
    Ok(parts[BACKWARD].time(|| GradientsParams::from_grads(loss.backward(), learner)))
}

fn print(preset: &Preset, parts: &[Part; NAMES.len()], whole_step: &Part, loading: f64, peak: f64) {
    let mut sum = Part::default();
    parts.iter().for_each(|part| sum.add(*part, 1.0));
    println!("| part | ms | % | GFLOP | GFLOP/s | of peak |");
    println!("|---|---:|---:|---:|---:|---:|");
    let row = |name: &str, part: &Part| {
        let (ms, percentage) = (part.ms, 100.0 * part.ms / sum.ms);
        print!("| {name} | {ms:.1} | {percentage:.1} % |");
        if part.flop == 0.0 {
            println!(" | | |");
            return;
        }
        let (gflop, gflops) = (part.flop / 1e9, part.gflops());
        let percentage = 100.0 * gflops / peak;
        println!(" {gflop:.2} | {gflops:.0} | {percentage:.0} % |");
    };
    NAMES
        .iter()
        .zip(parts)
        .for_each(|(name, part)| row(name, part));
    row("all parts", &sum);
    let halves = match preset.config.train.data_parallel_halves {
        true => " (two batches concurrently)",
        false => "",
    };
    row(&format!("the step in vlp pretrain{halves}"), whole_step);
    println!();
    println!("peak: {peak:.0} GFLOP/s, a matmul of {SIDE} x {SIDE} x {SIDE} on all threads");
    println!("loading the examples of a batch, on other threads during the step: {loading:.1} ms");
    if let Some(memory) = peak_memory() {
        println!("peak memory: {memory:.0} MiB");
    }
}

pub(crate) fn run(mut arguments: Vec<String>) -> BoxResult {
    vlp::device::init_process()?;
    let precision = set_precision(&mut arguments)?;
    let preset = Preset::open(&arguments, Device::flex().autodiff())?.with_precision(precision);
    let config = &preset.config;
    let images = config.data.batch_size * config.train.accumulate;
    let threads = std::thread::available_parallelism()?;
    let name = &config.preset;
    println!("A step of {name}: {images} images, {threads} threads\n");
    count_flops(true);
    preset.visit(Profile(&mut Peak::new()))
}
