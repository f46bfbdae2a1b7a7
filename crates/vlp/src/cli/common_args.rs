//! Arguments that several subcommands take.

use std::path::PathBuf;

use burn::prelude::Device;
use clap::Args;
use toml::Value;
use vlp::config::{CheckpointChoice, Sources, resolve};
use vlp::{RunConfig, VlpError};

/// Where the configuration comes from.
#[derive(Args)]
pub(super) struct ConfigArgs {
    /// Preset to start from (see `vlp config list`); e2e-vlp-tiny by default.
    #[arg(long)]
    preset: Option<String>,
    /// TOML file that overrides the preset.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data source: `scenes`, `coco:DIR@SPLIT`, `vqa:DIR@SPLIT`, `nlvr2:FILE`, `snli-ve:FILE`, `karpathy:FILE@SPLIT`, `json:FILE`,
    /// `genome:DIR`, `shards:PATH` (a folder or a URL).
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    /// Optimizer steps of the run.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    steps: Option<i64>,
    /// Seed of weights, data order, masks and dropout.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// A short trial: the preset's `[quick]` values.
    #[arg(long)]
    quick: bool,
    /// A checkpoint of another project to start from (.safetensors or .pth); may be repeated.
    #[arg(long, value_name = "FILE")]
    weights: Vec<String>,
    /// A single value, such as `train.optimizer.learning_rate=1e-4`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigArgs {
    /// The resolved configuration.
    pub(super) fn resolve(&self) -> Result<RunConfig, VlpError> {
        resolve(&self.sources())
    }

    pub(super) fn sources(&self) -> Sources {
        let mut values = vec![];
        let mut add = |key: &str, value: Value| values.push((key.to_owned(), value));
        if let Some(source) = &self.data {
            add("data.source", Value::String(source.clone()));
        }
        if let Some(steps) = self.steps {
            add("train.steps", Value::Integer(steps));
        }
        if let Some(seed) = self.seed {
            add("seed", Value::Integer(seed));
        }
        if !self.weights.is_empty() {
            let files = self.weights.iter().cloned().map(Value::String);
            add("weights", Value::Array(files.collect()));
        }
        Sources {
            preset: self.preset.clone(),
            file: self.config.clone(),
            quick: self.quick,
            values,
            set: self.set.clone(),
        }
    }
}

/// Where the model runs.
#[derive(Args)]
pub(super) struct DeviceArgs {
    /// Device: auto, flex (CPU), flex-bf16 (CPU, bf16 matmul precision), wgpu or cuda.
    #[arg(long = "device", default_value = "auto")]
    pub(super) name: String,
}

impl DeviceArgs {
    pub(super) fn pick(&self) -> Result<Device, VlpError> {
        vlp::device::pick(&self.name)
    }
}

/// Which checkpoint of a run is read.
#[derive(Args)]
pub(super) struct CheckpointArgs {
    /// Checkpoint of the run: last, best (by `checkpoint.best_by`), or a step.
    #[arg(long = "checkpoint", value_name = "best|last|STEP", default_value_t)]
    pub(super) choice: CheckpointChoice,
}
