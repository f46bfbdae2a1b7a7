//! What a preset's training step takes of memory and time: as it is, with layers that are computed again in the backward
//! pass, with moments in bf16. Each in a process of its own.
//!
//! `cargo run -p vlp --example step_memory [preset] [--quick] [--set KEY=VALUE]...`: `e2e-vlp-tiny` where no preset is named.

#![allow(clippy::print_stdout)]

mod preset;

use std::error::Error;
use std::process::Command;
use std::time::Instant;

use burn::prelude::*;
use vlp_objectives::VisionLanguage;
use vlp_train::Trainer;
use vlp_vision::ResNet;

use preset::{Done, Learner, Preset, Visit, peak_memory};

/// Steps of each; the least time counts.
const STEPS: usize = 4;

const AGAIN: &str = "model.recompute=[\"backbone\",\"encoder\"]";
const BF16: &str = "train.optimizer.moments=bf16";
/// Names and settings.
const OPTIONS: [(&str, &[&str]); 6] = [
    ("as it is", &[]),
    ("backbone again", &["model.recompute=[\"backbone\"]"]),
    ("encoder again", &["model.recompute=[\"encoder\"]"]),
    ("both again", &[AGAIN]),
    ("bf16 moments", &[BF16]),
    ("both again, bf16 moments", &[AGAIN, BF16]),
];

/// Runs steps and prints the least time in milliseconds.
struct Steps;

impl Visit for Steps {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        _: fn(&M) -> &ResNet,
    ) -> Done {
        let mut trainer = Trainer::new(learner, preset.config.train.clone())?;
        let examples = preset.examples()?;
        let mut least = f64::INFINITY;
        for _ in 0..STEPS {
            let start = Instant::now();
            preset.step(&mut trainer, &examples)?;
            least = least.min(start.elapsed().as_secs_f64() * 1e3);
        }
        let memory = peak_memory().ok_or("this system does not tell a process's peak memory")?;
        println!("{memory} {least}");
        Ok(())
    }
}

/// Highest memory in MiB and least milliseconds of a step, from a process of its own.
fn measure(words: &[String], set: &[&str]) -> Result<[f64; 2], Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("--alone").args(words);
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

fn main() -> Done {
    vlp_ops::share_main_thread();
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "--alone") {
        words.remove(0);
        return Preset::open(&words, Device::flex().autodiff())?.visit(Steps);
    }
    println!("{:26} {:>9} {:>9}", "", "MiB", "ms");
    for (name, set) in OPTIONS {
        let [memory, time] = measure(&words, set)?;
        println!("{name:26} {memory:9.0} {time:9.1}");
    }
    Ok(())
}
