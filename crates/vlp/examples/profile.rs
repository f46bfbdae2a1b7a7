//! Where a training step spends its time: each part in milliseconds and as a share of the step, with the operations of its
//! matrix products and convolutions and their rate, beside the rate of a large product measured in the same run.
//!
//! `cargo run -p vlp --example profile [preset] [--quick] [--bf16] [--set KEY=VALUE]...`: `e2e-vlp-tiny` where no preset is named.

#![allow(clippy::print_stdout)]

mod preset;

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use vlp_data::Example;
use vlp_objectives::{ObjectiveSet, VisionLanguage, total};
use vlp_ops::{count_operations, linear, operations};
use vlp_train::Trainer;
use vlp_train::grads::{GradScale, global_norm};
use vlp_vision::ResNet;

use preset::{Done, Learner, Preset, Visit, peak_memory, precision};

/// Turns before those that count: memory is taken, the optimiser's state made.
const WARM: usize = 2;
/// The least time of them counts, of every part by itself.
const TURNS: usize = 12;
/// Side of the product that gives the peak.
const SIDE: usize = 2048;

const DATA: usize = 0;
const TRUNK: usize = 1;
const ENCODER: usize = 2;
const LOSSES: usize = 3;
const BACKWARD: usize = 4;
const NORM: usize = 5;
const UPDATE: usize = 6;
const NAMES: [&str; 7] = [
    "data (batching)",
    "trunk forward",
    "encoder forward",
    "heads and losses",
    "backward",
    "gradient norm",
    "optimiser",
];

/// Milliseconds and operations of a part, of a step or all steps.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    ms: f64,
    operations: f64,
}

impl Part {
    fn time<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let (before, start) = (operations(), Instant::now());
        let value = f();
        self.ms += start.elapsed().as_secs_f64() * 1e3;
        self.operations += (operations() - before) as f64;
        value
    }

    fn add(&mut self, other: Self, times: f64) {
        self.ms += times * other.ms;
        self.operations += times * other.operations;
    }

    fn least(all: impl Iterator<Item = Self>) -> Self {
        all.min_by(|a, b| a.ms.total_cmp(&b.ms)).unwrap_or_default()
    }

    fn rate(&self) -> f64 {
        self.operations / self.ms.max(1e-9) / 1e6
    }
}

/// The rate of a large product on all threads, the best of all turns.
struct Peak {
    left: Tensor<2>,
    right: Tensor<2>,
    rate: f64,
}

impl Peak {
    fn new() -> Self {
        let normal = Distribution::Normal(0.0, 1.0);
        let random = || Tensor::random([SIDE, SIDE], normal, &Device::flex());
        Self {
            left: random(),
            right: random(),
            rate: 0.0,
        }
    }

    fn measure(&mut self) {
        let mut part = Part::default();
        part.time(|| black_box(linear(self.left.clone(), self.right.clone(), None)));
        self.rate = self.rate.max(part.rate());
    }
}

struct Profile<'a>(&'a mut Peak);

impl Visit for Profile<'_> {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        mut learner: Learner<M>,
        trunk: fn(&M) -> &ResNet,
    ) -> Done {
        let config = &preset.config.train;
        let mut loading = Part::default();
        let examples = loading.time(|| preset.examples())?;
        let scale = GradScale::default();
        let mut optimizer = config.optimizer.init(&scale)?;
        let mut turns = vec![];
        for turn in 0..WARM + TURNS {
            self.0.measure();
            let mut parts = [Part::default(); NAMES.len()];
            let mut sum = GradientsAccumulator::new();
            for _ in 0..config.accumulate {
                let own = gradients(
                    preset,
                    &learner,
                    trunk(&learner.model),
                    &examples,
                    &mut parts,
                )?;
                sum.accumulate(&learner, own);
            }
            let grads = sum.grads();
            parts[NORM].time(|| {
                let norm = global_norm(&learner, &grads);
                scale.clip(norm, config.optimizer.clip_norm as f32);
            });
            let rates = config.optimizer.rates(1.0)?;
            learner = parts[UPDATE].time(|| optimizer.step(rates, learner, grads));
            if turn >= WARM {
                turns.push(parts);
            }
        }
        let mut trainer = Trainer::new(learner, config.clone())?;
        let mut whole = vec![];
        for turn in 0..WARM + TURNS {
            let mut part = Part::default();
            part.time(|| preset.step(&mut trainer, &examples))?;
            if turn >= WARM {
                whole.push(part);
            }
        }
        let mut parts: [_; NAMES.len()] =
            std::array::from_fn(|i| Part::least(turns.iter().map(|turn| turn[i])));
        let trunk = parts[TRUNK];
        parts[ENCODER].add(trunk, -1.0);
        let whole = Part::least(whole.into_iter());
        print(preset, &parts, &whole, loading.ms, self.0.rate);
        Ok(())
    }
}

/// Gradients of one batch.
fn gradients<M: VisionLanguage>(
    preset: &Preset,
    learner: &Learner<M>,
    trunk: &ResNet,
    examples: &[Example],
    parts: &mut [Part; NAMES.len()],
) -> Result<GradientsParams, Box<dyn Error>> {
    let batcher = preset.data.batcher(&preset.config);
    let batch =
        parts[DATA].time(|| batcher.batch(&learner.objectives, examples, &preset.device))?;
    // The trunk alone first, then as a part of the model's own pass.
    let maps = parts[TRUNK].time(|| trunk.forward(batch.images.pixels.clone()));
    drop(maps);
    let encoded = parts[ENCODER].time(|| learner.encode(&batch))?;
    let loss = parts[LOSSES].time(|| {
        let losses = learner.objectives.losses(&encoded, &batch.targets);
        drop(encoded);
        losses.map(|losses| total(&losses))
    })?;
    let loss = loss.ok_or("the preset has no loss")?;
    let share = loss.div_scalar(preset.config.train.accumulate as f64);
    Ok(parts[BACKWARD].time(|| GradientsParams::from_grads(share.backward(), learner)))
}

fn print(preset: &Preset, parts: &[Part; NAMES.len()], whole: &Part, loading: f64, peak: f64) {
    let mut sum = Part::default();
    parts.iter().for_each(|part| sum.add(*part, 1.0));
    println!("| part | ms | share | GFLOP | GFLOP/s | of peak |");
    println!("|---|---:|---:|---:|---:|---:|");
    let row = |name: &str, part: &Part| {
        let (ms, share) = (part.ms, 100.0 * part.ms / sum.ms);
        print!("| {name} | {ms:.1} | {share:.1} % |");
        if part.operations == 0.0 {
            println!(" | | |");
            return;
        }
        let (work, rate) = (part.operations / 1e9, part.rate());
        println!(" {work:.2} | {rate:.0} | {:.0} % |", 100.0 * rate / peak);
    };
    NAMES
        .iter()
        .zip(parts)
        .for_each(|(name, part)| row(name, part));
    row("all parts", &sum);
    let beside = match preset.config.train.side_by_side {
        true => ", two batches side by side",
        false => "",
    };
    row(&format!("the step as the program takes it{beside}"), whole);
    println!();
    println!("peak: {peak:.0} GFLOP/s, a product of {SIDE} x {SIDE} x {SIDE} on all threads");
    println!("loading a batch's examples, on threads beside the step: {loading:.1} ms");
    if let Some(memory) = peak_memory() {
        println!("peak memory: {memory:.0} MiB");
    }
}

fn main() -> Done {
    vlp_ops::share_main_thread();
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    precision(&mut words)?;
    let preset = Preset::open(&words, Device::flex().autodiff())?;
    let config = &preset.config;
    let pictures = config.data.batch_size * config.train.accumulate;
    let threads = std::thread::available_parallelism()?;
    let name = &config.preset;
    println!("A step of {name}: {pictures} pictures, {threads} threads\n");
    count_operations(true);
    preset.visit(Profile(&mut Peak::new()))
}
