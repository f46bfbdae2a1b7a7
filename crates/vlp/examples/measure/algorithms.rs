//! The gain of each convolution algorithm: the time of training steps and of inference with it and without it, when the next
//! best one replaces it.
//!
//! `cargo run -p vlp --example measure algorithms [--bf16] [filter...]` runs all presets, or those whose name contains one of the
//! filters, with the instruction set in use (`VLP_SIMD` lowers it). Both sides alternate; the minimum of several rounds is
//! printed, as CPU time of the whole process and as wall time. With `RAYON_NUM_THREADS=1` no thread spins while it
//! waits for work, so that the CPU time holds on a busy machine, too.

use std::time::Instant;

use burn::prelude::*;
use vlp_objectives::VisionLanguage;
use vlp_ops::{
    excludable_conv2d_algorithms, exclude_conv2d_algorithm, uses_of_excluded_conv2d_algorithm,
};
use vlp_vision::ResNet;

use crate::preset::{BoxResult, Learner, Preset, Visit, set_precision};

const PRESETS: [&[&str]; 4] = [
    &["e2e-vlp-r50", "--quick"],
    &["soho-official-r18", "--quick"],
    &["e2e-vlp-tiny"],
    &["soho-tiny"],
];
/// Rounds of each side.
const ROUNDS: usize = 5;

/// Milliseconds.
#[derive(Clone, Copy)]
struct Time {
    cpu: f64,
    wall: f64,
}

impl Time {
    const MAX: Self = Self {
        cpu: f64::INFINITY,
        wall: f64::INFINITY,
    };

    fn minimum(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            wall: self.wall.min(other.wall),
        }
    }

    fn measure(f: &mut impl FnMut() -> BoxResult) -> Result<Self, Box<dyn std::error::Error>> {
        let (cpu, start) = (cpu_ms()?, Instant::now());
        f()?;
        Ok(Self {
            cpu: cpu_ms()? - cpu,
            wall: start.elapsed().as_secs_f64() * 1e3,
        })
    }
}

/// CPU time of all threads of this process that are running.
fn cpu_ms() -> Result<f64, Box<dyn std::error::Error>> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // The first number: time on the CPU.
        let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += stat.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(nanoseconds / 1e6)
}

/// Prints a row for each algorithm that `f` uses.
fn compare(name: &str, mut f: impl FnMut() -> BoxResult) -> BoxResult {
    exclude_conv2d_algorithm(None);
    f()?;
    for algorithm in excludable_conv2d_algorithms() {
        exclude_conv2d_algorithm(Some(algorithm));
        f()?;
        let uses = uses_of_excluded_conv2d_algorithm();
        if uses == 0 {
            continue;
        }
        let [mut with, mut without] = [Time::MAX; 2];
        for _ in 0..ROUNDS {
            exclude_conv2d_algorithm(None);
            with = with.minimum(Time::measure(&mut f)?);
            exclude_conv2d_algorithm(Some(algorithm));
            without = without.minimum(Time::measure(&mut f)?);
        }
        let gain = |with: f64, without: f64| 100.0 * (1.0 - with / without);
        println!(
            "| {algorithm} | {name} | {uses} | {:.1} | {:.1} | {:.1} % | {:.1} | {:.1} | {:.1} % |",
            with.cpu,
            without.cpu,
            gain(with.cpu, without.cpu),
            with.wall,
            without.wall,
            gain(with.wall, without.wall),
        );
    }
    exclude_conv2d_algorithm(None);
    Ok(())
}

/// The encoder's pass without gradients, shown under a name.
struct Inference<'a>(&'a str);

impl Visit for Inference<'_> {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        _: fn(&M) -> &ResNet,
    ) -> BoxResult {
        let examples = preset.examples()?;
        let collator = preset.data.collator(&preset.config);
        let batch = collator.collate(&learner.objectives, &examples, &preset.device)?;
        compare(&format!("{}, inference", self.0), || {
            std::hint::black_box(learner.encode(&batch)?);
            Ok(())
        })
    }
}

pub(crate) fn run(mut filters: Vec<String>) -> BoxResult {
    vlp_ops::tune_allocator();
    let level = vlp_ops::init_simd()?;
    let precision = set_precision(&mut filters)?;
    let single = std::env::var("RAYON_NUM_THREADS").is_ok_and(|count| count == "1");
    if !single && !vlp_ops::join_thread_pool() {
        return Err("operations ran before the main thread joined the thread pool".into());
    }
    println!("Instruction set: {level}\n");
    println!(
        "| algorithm | run | convolutions | CPU ms with | without | gain | ms with | without | gain |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for arguments in PRESETS {
        let name = arguments.join(" ");
        let selected = filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
        if !selected {
            continue;
        }
        let open = |device| Preset::open(arguments, device);
        let training = open(Device::flex().autodiff())?.with_precision(precision);
        training.with_step(|step| compare(&format!("{name}, step"), step))?;
        let inference = open(Device::flex())?.with_precision(precision);
        inference.visit(Inference(&name))?;
    }
    Ok(())
}
