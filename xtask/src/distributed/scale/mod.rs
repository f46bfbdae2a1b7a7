//! A step of one process on one core, and of two on two: measured, and predicted from the parts.

mod model;
mod steps;

use std::fs;
use std::path::Path;
use std::process::Command;

use super::job::Job;
use super::lab::{LIMIT, Lab};
use super::options::Options;
use model::{Network, Step};
use steps::seconds_per_step;

/// Micro-batches of a step.
const MICRO_BATCHES: usize = 8;
/// Values of the long message that the bandwidth is measured with.
const LONG: usize = 10_000_000;

/// A model with its data, and how many steps are timed.
struct Shape {
    name: &'static str,
    steps: usize,
    arguments: &'static [&'static str],
}

const SHAPES: [Shape; 2] = [
    Shape {
        name: "e2e-vlp-tiny, 64 x 64, 8 images",
        steps: 30,
        arguments: &["--preset", "e2e-vlp-tiny", "--set", "data.batch_size=8"],
    },
    Shape {
        name: "e2e-vlp-r50, 256 x 256, 1 image",
        steps: 6,
        arguments: &[
            "--preset",
            "e2e-vlp-r50",
            "--set",
            "data.batch_size=1",
            "--set",
            "data.scenes.resolution=256",
            "--set",
            "data.resize={ kind = \"keep\" }",
            "--set",
            "data.eval_resize={ kind = \"keep\" }",
        ],
    },
];

/// Prints a table; times are never compared with a limit.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let lab = Lab::new(root, Options::parse(words)?)?;
    let network = Network::measure(&lab)?;
    println!("{network}");
    println!(
        "| shape of a micro-batch | processes | s/step | efficiency | predicted s/step | efficiency |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let mut parts = vec![];
    for shape in &SHAPES {
        let bench = Bench { lab: &lab, shape };
        parts.push(bench.run(&network)?);
    }
    println!("\n{}", parts.join("\n"));
    Ok(())
}

struct Bench<'a> {
    lab: &'a Lab,
    shape: &'a Shape,
}

impl Bench<'_> {
    /// Prints the rows of the shape, and returns a line about the parts of its step.
    fn run(&self, network: &Network) -> Result<String, String> {
        let one = self.alone(MICRO_BATCHES, 0)?;
        let half = self.alone(MICRO_BATCHES / 2, 0)?;
        // Two processes also share caches and memory: what that costs is seen in two that know nothing of each other.
        let busy = self.both_busy()?;
        let two = self.two()?;
        let micro_batch = (one - half) / (MICRO_BATCHES / 2) as f64;
        let step = Step {
            micro_batches: MICRO_BATCHES,
            micro_batch,
            // Of a small model it is less than the noise.
            update: (one - MICRO_BATCHES as f64 * micro_batch).max(0.0),
            values: self.parameters()?,
        };
        let predicted = step.predict(2, network);
        let shape = self.shape.name;
        println!("| {shape} | 1 | {one:.3} | 1 | | |");
        println!(
            "| | 2 | {two:.3} | {:.2} | {predicted:.3} | {:.2} |",
            one / two / 2.0,
            one / predicted / 2.0
        );
        Ok(format!(
            "{shape}: a micro-batch {:.1} ms, the update {:.1} ms, {:.1} million values, their sum {:.1} ms; two runs at the same \
             time, each on its core: {busy:.3} s/step",
            step.micro_batch * 1e3,
            step.update * 1e3,
            step.values as f64 / 1e6,
            step.sum(2, network) * 1e3
        ))
    }

    /// One process on one core.
    fn alone(&self, micro_batches: usize, core: usize) -> Result<f64, String> {
        let mut job = self.start_alone("alone", micro_batches, core)?;
        let seconds = seconds_per_step(&mut job, &self.folder("alone"), self.shape.steps)?;
        job.wait(LIMIT)?.expect(0)?;
        Ok(seconds)
    }

    fn both_busy(&self) -> Result<f64, String> {
        let mut first = self.start_alone("first", MICRO_BATCHES, 0)?;
        let second = self.start_alone("second", MICRO_BATCHES, 1)?;
        let seconds = seconds_per_step(&mut first, &self.folder("first"), self.shape.steps)?;
        drop(second);
        Ok(seconds)
    }

    fn start_alone(&self, name: &str, micro_batches: usize, core: usize) -> Result<Job, String> {
        let mut command = Command::new("taskset");
        command
            .args(["--cpu-list", &core.to_string()])
            .arg(&self.lab.program);
        self.start(command, name, micro_batches)
    }

    /// Two processes of one run.
    fn two(&self) -> Result<f64, String> {
        let mut command = two_bound(self.lab);
        command.arg(&self.lab.program);
        let mut job = self.start(command, "two", MICRO_BATCHES)?;
        let seconds = seconds_per_step(&mut job, &self.folder("two"), self.shape.steps)?;
        job.wait(LIMIT)?.expect(0)?;
        Ok(seconds)
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.lab.folder.join("runs/scale").join(name)
    }

    fn start(&self, mut command: Command, name: &str, micro_batches: usize) -> Result<Job, String> {
        let run = self.lab.fresh(&format!("scale/{name}"))?;
        self.lab.set_variables(&mut command);
        command
            .args(["pretrain", "--out"])
            .arg(&run)
            .args(self.shape.arguments);
        for set in [
            format!("train.accumulate={micro_batches}"),
            format!("train.steps={}", self.shape.steps),
            "train.data_parallel_halves=false".into(),
            "train.schedule.warmup_steps=0".into(),
            "checkpoint.every=0".into(),
            "eval.every=0".into(),
            "eval.examples=1".into(),
            "eval.images=0".into(),
        ] {
            command.args(["--set", &set]);
        }
        self.lab.start(command, &run)
    }

    /// Number of values of the last checkpoint's model.
    fn parameters(&self) -> Result<usize, String> {
        let step = format!("checkpoints/step-{:08}/model.bpk", self.shape.steps);
        let file = self.folder("two").join(step);
        let size = fs::metadata(&file)
            .map_err(|e| format!("{}: {e}", file.display()))?
            .len();
        Ok(size as usize / size_of::<f32>())
    }
}

/// Two processes, each bound to a core of its own.
fn two_bound(lab: &Lab) -> Command {
    let mut command = lab.mpirun();
    command.args(["-n", "2", "--map-by", "core", "--bind-to", "core"]);
    command
}
