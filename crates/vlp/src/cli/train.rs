//! `vlp pretrain` and `vlp finetune`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use vlp::VlpError;
use vlp::config::{CheckpointChoice, Sources, check_source_keys, finetune, resolve};
use vlp::run::run_config;
use vlp::train::{RunChoice, TrainOptions, train};
use vlp_distributed::{Launch, ProcessGroup};

use super::common_args::{ConfigArgs, DeviceArgs, TrainArgs};
use super::output::print;
use super::stop::stop_on_signal;

#[derive(Args)]
pub(super) struct PretrainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder of the run; it must not exist, or be empty.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "resume",
        conflicts_with = "resume"
    )]
    out: Option<PathBuf>,
    /// Resume a stopped run of `pretrain` or `finetune`, with its own configuration.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "config", "data", "steps", "seed", "quick", "weights", "set"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Stop after this step and save it; --resume continues the run.
    #[arg(long, value_name = "STEP")]
    stop_at: Option<u64>,
    #[command(flatten)]
    processes: ProcessArgs,
}

impl PretrainArgs {
    pub(super) fn run(self, processes: &Arc<dyn ProcessGroup>) -> Result<(), VlpError> {
        let is_trial = self.config.is_quick();
        let (config, run) = match (self.resume, self.out) {
            (Some(path), _) => (resolve(&Sources::default())?, RunChoice::Resume(path)),
            (None, Some(path)) => (self.config.resolve_to_train()?, RunChoice::New(path)),
            (None, None) => {
                return Err(VlpError::Config("give --out DIR or --resume RUN".into()));
            }
        };
        let options = TrainOptions::new(config, run)
            .with_device(self.device.name)
            .with_stop_at(self.stop_at)
            .with_is_trial(is_trial)
            .with_stop(Some(stop_on_signal()?));
        self.processes.train(options, processes)
    }
}

#[derive(Args)]
struct ProcessArgs {
    /// With several processes: maximum time in seconds that one of them waits for another before it ends.
    #[arg(long, value_name = "SECONDS")]
    longest_wait: Option<u64>,
}

impl ProcessArgs {
    fn train(
        self,
        options: TrainOptions,
        processes: &Arc<dyn ProcessGroup>,
    ) -> Result<(), VlpError> {
        if self.longest_wait.is_some() && processes.world_size() == 1 {
            return Err(VlpError::Config(
                "--longest-wait: this is the only process; the flag needs several".into(),
            ));
        }
        let options = options
            .with_processes(processes.clone())
            .with_local_rank(Launch::from_env().map_or(0, |launch| launch.local_rank))
            .with_longest_wait(self.longest_wait.map(Duration::from_secs));
        let results = train(&options)?;
        match processes.rank() {
            0 => print(format_args!("{results}")),
            _ => Ok(()),
        }
    }
}

#[derive(Args)]
pub(super) struct FinetuneArgs {
    /// The task: vqa, nlvr2, snli-ve, retrieval, caption or detection.
    task: String,
    /// Folder of the run to start from.
    #[arg(long, value_name = "RUN")]
    from: PathBuf,
    /// Checkpoint of the run: last (the default), best (by `checkpoint.best_by`), or a step.
    #[arg(long, value_name = "best|last|STEP")]
    checkpoint: Option<CheckpointChoice>,
    /// Folder of the new run.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Start the same model where the run itself started instead, from its `weights` files (such as a ResNet and a BERT) or
    /// from random weights, to measure the benefit of pre-training; `--set weights=[]` leaves out the files.
    #[arg(long, conflicts_with = "checkpoint")]
    from_scratch: bool,
    #[command(flatten)]
    config: TrainArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    processes: ProcessArgs,
}

impl FinetuneArgs {
    pub(super) fn run(self, processes: &Arc<dyn ProcessGroup>) -> Result<(), VlpError> {
        let pretrained = run_config(&self.from)?;
        let sources = self.config.sources();
        let from = (!self.from_scratch).then_some(self.from.as_path());
        let mut config = finetune(&self.task, &pretrained, from, &sources)?;
        check_source_keys(&sources, &config)?;
        if let Some(choice) = self.checkpoint {
            if sources.set_keys().any(|key| key == "from_checkpoint") {
                let message = "--set from_checkpoint: the same as --checkpoint; give one of them";
                return Err(VlpError::Config(message.into()));
            }
            config.from_checkpoint = choice;
        }
        let options = TrainOptions::new(config, RunChoice::New(self.out))
            .with_device(self.device.name)
            .with_is_trial(sources.quick)
            .with_stop(Some(stop_on_signal()?));
        self.processes.train(options, processes)
    }
}
