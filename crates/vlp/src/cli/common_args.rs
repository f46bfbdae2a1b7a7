//! Arguments that several subcommands take.

use std::path::PathBuf;

use burn::prelude::Device;
use clap::Args;
use toml::Value;
use vlp::config::{CheckpointChoice, Sources, check_source_keys, check_used, resolve};
use vlp::{RunConfig, VlpError};
use vlp_train::{Precision, TrainError};

/// A preset and values that override it.
#[derive(Args)]
pub(super) struct ConfigArgs {
    /// Preset to start from (see `vlp config list`); e2e-vlp-tiny by default.
    #[arg(long)]
    preset: Option<String>,
    #[command(flatten)]
    train: TrainArgs,
}

/// Values of a run that override its preset, or the run it starts from.
#[derive(Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Optimizer steps of the run.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    steps: Option<i64>,
    /// A short trial: the `[quick]` values of the preset or task.
    #[arg(long)]
    quick: bool,
    /// A checkpoint of another project to start from (.safetensors or .pth); may be repeated.
    #[arg(long, value_name = "FILE")]
    weights: Vec<String>,
}

/// Values that override those of a run.
#[derive(Args)]
pub(super) struct OverrideArgs {
    /// TOML file with any part of the configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data source: `scenes`, `coco:DIR@SPLIT`, `vqa:DIR@SPLIT`, `nlvr2:FILE`, `snli-ve:FILE`, `karpathy:FILE@SPLIT`,
    /// `json:FILE`, `genome:DIR`, `shards:PATH` (a folder or a URL).
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    /// Seed of weights, data order, masks and dropout.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// A single value, such as `train.optimizer.learning_rate=1e-4`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigArgs {
    /// The resolved configuration.
    pub(super) fn resolve(&self) -> Result<RunConfig, VlpError> {
        resolve(&self.sources())
    }

    /// The resolved configuration of a run that is trained.
    ///
    /// # Errors
    /// As [`resolve`], and for a `--set` of a key that none of the data sources reads.
    pub(super) fn resolve_to_train(&self) -> Result<RunConfig, VlpError> {
        let sources = self.sources();
        let config = resolve(&sources)?;
        check_source_keys(&sources, &config)?;
        Ok(config)
    }

    fn sources(&self) -> Sources {
        Sources {
            preset: self.preset.clone(),
            ..self.train.sources()
        }
    }

    /// Whether the run is a short trial.
    pub(super) fn is_quick(&self) -> bool {
        self.train.quick
    }
}

impl TrainArgs {
    pub(super) fn sources(&self) -> Sources {
        let mut sources = self.overrides.sources();
        sources.quick = self.quick;
        let mut add = |key: &str, value: Value| sources.values.push((key.to_owned(), value));
        if let Some(steps) = self.steps {
            add("train.steps", Value::Integer(steps));
        }
        if !self.weights.is_empty() {
            let files = self.weights.iter().cloned().map(Value::String);
            add("weights", Value::Array(files.collect()));
        }
        sources
    }
}

impl OverrideArgs {
    pub(super) fn sources(&self) -> Sources {
        let mut values = vec![];
        let mut add = |key: &str, value: Value| values.push((key.to_owned(), value));
        if let Some(source) = &self.data {
            add("data.source", Value::String(source.clone()));
        }
        if let Some(seed) = self.seed {
            add("seed", Value::Integer(seed));
        }
        Sources {
            file: self.config.clone(),
            values,
            set: self.set.clone(),
            ..Sources::default()
        }
    }
}

/// Settings of a command that does not train.
#[derive(Args)]
pub(super) struct SettingsArgs {
    /// Preset with the settings (see `vlp config list`); e2e-vlp-tiny by default.
    #[arg(long)]
    preset: Option<String>,
    /// TOML file that overrides the preset.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A single value, such as `data.scenes.resolution=64`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

impl SettingsArgs {
    /// The resolved configuration; `--set` must not set `values`.
    ///
    /// # Errors
    /// As [`resolve`], and for a `--set` of a key that is neither one of `used` nor below one.
    pub(super) fn resolve(
        &self,
        used: &[&str],
        values: Vec<(String, Value)>,
    ) -> Result<RunConfig, VlpError> {
        let sources = Sources {
            preset: self.preset.clone(),
            file: self.config.clone(),
            values,
            set: self.set.clone(),
            ..Sources::default()
        };
        let config = resolve(&sources)?;
        check_used(sources.set_keys(), used, "this command")?;
        Ok(config)
    }
}

/// Choice of the device.
#[derive(Args)]
pub(super) struct DeviceArgs {
    /// Device: auto, flex (CPU), wgpu or cuda.
    #[arg(long = "device", default_value = "auto")]
    pub(super) name: String,
}

/// Choice of the device of a command that trains nothing, and of its precision.
#[derive(Args)]
pub(super) struct InferenceArgs {
    #[command(flatten)]
    pub(super) device: DeviceArgs,
    /// Precision of matrix multiplications and convolutions.
    #[arg(long, value_name = "f32|tf32|bf16", default_value_t)]
    precision: Precision,
}

impl InferenceArgs {
    pub(super) fn pick(&self) -> Result<Device, VlpError> {
        let device = vlp::device::pick(&self.device.name)?;
        let is_supported = self.precision.set(&device);
        is_supported.map_err(|error| match error {
            TrainError::Config { hint, .. } => {
                VlpError::Config(format!("--precision {}: {hint}", self.precision))
            }
            error => error.into(),
        })?;
        Ok(device)
    }
}

/// Choice of a run's checkpoint.
#[derive(Args)]
pub(super) struct CheckpointArgs {
    /// Checkpoint of the run: last, best (by `checkpoint.best_by`), or a step.
    #[arg(long = "checkpoint", value_name = "best|last|STEP", default_value_t)]
    pub(super) choice: CheckpointChoice,
}
