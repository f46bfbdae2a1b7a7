//! Memory and time of a preset's training step: unchanged, with recomputed layers, and with bf16 moments, each in a separate
//! process.
//!
//! `cargo run -p vlp --example measure memory [preset] [--quick] [--set KEY=VALUE]...`: `e2e-vlp-tiny` by default.

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use burn::prelude::*;

use crate::preset::{BoxResult, Preset, peak_memory, take_flag};

/// Steps of each setting; the minimum time is printed.
const STEPS: usize = 4;

const RECOMPUTE: &str = "model.recompute=[\"backbone\",\"encoder\"]";
const BF16: &str = "train.optimizer.moment_dtype=bf16";
/// Names and overridden values.
const OPTIONS: [(&str, &[&str]); 6] = [
    ("unchanged", &[]),
    ("recompute backbone", &["model.recompute=[\"backbone\"]"]),
    ("recompute encoder", &["model.recompute=[\"encoder\"]"]),
    ("recompute both", &[RECOMPUTE]),
    ("bf16 moments", &[BF16]),
    ("recompute both, bf16 moments", &[RECOMPUTE, BF16]),
];

/// Runs steps and prints peak memory in MiB and the minimum time in milliseconds.
fn print_steps(step: &mut dyn FnMut() -> BoxResult) -> BoxResult {
    let mut minimum = f64::INFINITY;
    for _ in 0..STEPS {
        let start = Instant::now();
        step()?;
        minimum = minimum.min(start.elapsed().as_secs_f64() * 1e3);
    }
    let memory = peak_memory().ok_or("this system has no /proc/self/status")?;
    println!("{memory} {minimum}");
    Ok(())
}

/// Peak memory in MiB and minimum milliseconds of a step, from a child process.
fn measure(arguments: &[String], set: &[&str]) -> Result<[f64; 2], Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["memory", "--child"]).args(arguments);
    for entry in set {
        child.args(["--set", entry]);
    }
    let output = child.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    match (numbers.next(), numbers.next()) {
        (Some(memory), Some(time)) => Ok([memory?, time?]),
        _ => Err(format!("a step printed {text:?}").into()),
    }
}

pub(crate) fn run(mut arguments: Vec<String>) -> BoxResult {
    vlp::device::init_process()?;
    if take_flag(&mut arguments, "--child") {
        return Preset::open(&arguments, Device::flex().autodiff())?.with_step(print_steps);
    }
    println!("{:26} {:>9} {:>9}", "", "MiB", "ms");
    for (name, set) in OPTIONS {
        let [memory, time] = measure(&arguments, set)?;
        println!("{name:26} {memory:9.0} {time:9.1}");
    }
    Ok(())
}
