//! The `vlp` program.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use vlp::config::{Sources, explain, finetune, resolve};
use vlp::pretrain::{PretrainOptions, RunChoice, pretrain};
use vlp::results::figure;
use vlp::{RunConfig, VlpError};
use vlp_data::{Scenes, ScenesConfig, Split};

use cli::data::DataCommand;
use cli::output::{print, warn};
use cli::predict::PredictArgs;
use cli::score::ScoreArgs;

/// End-to-end vision-language pre-training.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pre-train a model and leave a run folder with checkpoints, metrics and a report page.
    Pretrain(PretrainArgs),
    /// Train a pre-trained model for a task: vqa, nlvr2, snli-ve, retrieval, caption or detection.
    Finetune(FinetuneArgs),
    /// Score a run's model on held-out examples.
    Evaluate(EvaluateArgs),
    /// Score a result file against annotations, as the official tools do: vqa, caption, detection or nlvr2.
    Score(ScoreArgs),
    /// Use a run's model on pictures: objects, a caption, answers, matching texts.
    Predict(PredictArgs),
    /// Look at data before a run does: check, stats, view; pack it into shards.
    #[command(subcommand)]
    Data(DataCommand),
    /// Write generated scenes as COCO, VQA v2, NLVR2 and SNLI-VE files with PNG pictures.
    Scenes(ScenesArgs),
    /// Draw a page of the visual dictionary of a run: codes with typical patches and words, pictures by code.
    Dictionary(DictionaryArgs),
    /// Weights: look into a checkpoint, or write a run's as safetensors.
    #[command(subcommand)]
    Weights(WeightsCommand),
    /// Look at configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Args)]
struct ConfigArgs {
    /// Preset to start from (see `vlp config list`); e2e-vlp-tiny by default.
    #[arg(long)]
    preset: Option<String>,
    /// TOML file laid over the preset.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to read: `scenes`, `coco:DIR`, `vqa:DIR/SPLIT`, `nlvr2:FILE`, `snli-ve:FILE`, `karpathy:FILE`, `json:FILE`, `genome:DIR`,
    /// `shards:PLACE` (a folder or a URL).
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    /// Optimiser steps of the run.
    #[arg(long)]
    steps: Option<u64>,
    /// Seed of weights, order, masks and dropout.
    #[arg(long)]
    seed: Option<u64>,
    /// A short trial: the preset's `[quick]` values.
    #[arg(long)]
    quick: bool,
    /// A checkpoint of another project to start from (.safetensors or .pth); repeat for more.
    #[arg(long, value_name = "FILE")]
    weights: Vec<PathBuf>,
    /// A single value, as `train.optimizer.learning_rate=1e-4`; repeat for more.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
struct PretrainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder of the run; it must be new.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "resume",
        conflicts_with = "resume"
    )]
    out: Option<PathBuf>,
    /// Go on with a run that was stopped; its own configuration holds.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "config", "data", "steps", "seed", "quick", "set"])]
    resume: Option<PathBuf>,
    /// Device: auto, flex (CPU), flex-bf16 (CPU, products in bf16), wgpu or cuda.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Stop after this step; go on with --resume.
    #[arg(long, value_name = "STEP")]
    stop_at: Option<u64>,
}

#[derive(Args)]
struct FinetuneArgs {
    /// The task: vqa, nlvr2, snli-ve, retrieval, caption or detection.
    task: String,
    /// Folder of the run to start from.
    #[arg(long, value_name = "RUN")]
    from: PathBuf,
    /// Folder of the new run.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Train the same model from its first weights instead, to see what pre-training is worth.
    #[arg(long)]
    scratch: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// Device: auto, flex (CPU), flex-bf16 (CPU, products in bf16), wgpu or cuda.
    #[arg(long, default_value = "auto")]
    device: String,
}

#[derive(Args)]
struct EvaluateArgs {
    /// Folder of the run.
    run: PathBuf,
    /// Folder for result files as the official tools read them: answers, captions, detections, truth of statements.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Device: auto, flex (CPU), flex-bf16 (CPU, products in bf16), wgpu or cuda.
    #[arg(long, default_value = "auto")]
    device: String,
}

#[derive(Args)]
struct ScenesArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder to write to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of scenes.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Which set: train, val or test.
    #[arg(long, default_value = "train")]
    split: String,
}

#[derive(Args)]
struct DictionaryArgs {
    /// Folder of the run.
    run: PathBuf,
    /// Held-out pictures to look at.
    #[arg(long, default_value_t = 256)]
    pictures: usize,
    /// The page; dictionary.html in the run's folder by default.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Device: auto, flex (CPU), flex-bf16 (CPU, products in bf16), wgpu or cuda.
    #[arg(long, default_value = "auto")]
    device: String,
}

#[derive(Subcommand)]
enum WeightsCommand {
    /// List the tensors of a .safetensors or .pth file and say what kind of checkpoint it is.
    Inspect {
        /// The file.
        file: PathBuf,
    },
    /// Write model and heads of a run: as one .safetensors file, or as a folder in Hugging Face's layout (config.json,
    /// model.safetensors, tokenizer.json), which stands wherever a run does.
    Export {
        /// Folder of the run.
        run: PathBuf,
        /// The file, or a new folder.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the resolved configuration as TOML, with what each value means and reproduces.
    Show(ConfigArgs),
    /// List the presets.
    List,
}

impl ConfigArgs {
    fn resolve(&self) -> Result<RunConfig, VlpError> {
        resolve(&self.sources())
    }

    fn sources(&self) -> Sources {
        let mut set = vec![];
        set.extend(self.data.iter().map(|v| format!("data.source={v}")));
        set.extend(self.steps.iter().map(|v| format!("train.steps={v}")));
        set.extend(self.seed.iter().map(|v| format!("seed={v}")));
        if !self.weights.is_empty() {
            let quoted = self
                .weights
                .iter()
                .map(|w| format!("{:?}", w.to_string_lossy()));
            set.push(format!(
                "weights=[{}]",
                quoted.collect::<Vec<_>>().join(", ")
            ));
        }
        set.extend(self.set.iter().cloned());
        Sources {
            preset: self.preset.clone(),
            file: self.config.clone(),
            quick: self.quick,
            set,
        }
    }
}

fn main() -> ExitCode {
    cli::memory::keep_pages();
    vlp_ops::share_main_thread();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), VlpError> {
    match command {
        Command::Pretrain(args) => {
            let (config, run) = match (&args.resume, &args.out) {
                (Some(path), _) => (
                    vlp::run::RunFolder::open(path)?.1,
                    RunChoice::Resume(path.clone()),
                ),
                (None, Some(path)) => (args.config.resolve()?, RunChoice::New(path.clone())),
                (None, None) => {
                    return Err(VlpError::Config("give --out DIR or --resume RUN".into()));
                }
            };
            let results = pretrain(&PretrainOptions {
                config,
                run,
                device: args.device,
                stop_at: args.stop_at,
            })?;
            print(format_args!("{results}"))?;
        }
        Command::Finetune(args) => {
            let mut config = finetune(&args.task, &args.from, &args.config.sources())?;
            if args.scratch {
                config.from = None;
            }
            let results = pretrain(&PretrainOptions {
                config,
                run: RunChoice::New(args.out),
                device: args.device,
                stop_at: None,
            })?;
            print(format_args!("{results}"))?;
        }
        Command::Evaluate(args) => {
            let device = vlp::device::pick(&args.device)?;
            let found = vlp::evaluate::evaluate_run(&args.run, &args.config.sources(), &device)?;
            for (name, value) in &found.scores {
                print(format_args!("{name:34} {:>9}\n", figure(*value)))?;
            }
            for problem in &found.unread {
                warn(format_args!("left out: {problem}"));
            }
            if let Some(folder) = args.results {
                for file in vlp::evaluate::write_results(&found.predictions, &folder)? {
                    print(format_args!("{}\n", file.display()))?;
                }
            }
        }
        Command::Score(args) => args.run()?,
        Command::Predict(args) => args.run()?,
        Command::Data(command) => command.run()?,
        Command::Scenes(args) => {
            let split = match args.split.as_str() {
                "train" => Split::Train,
                "val" => Split::Val,
                "test" => Split::Test,
                other => {
                    return Err(VlpError::Config(format!(
                        "--split {other}: use train, val or test"
                    )));
                }
            };
            let config = ScenesConfig {
                split,
                count: args.count,
                ..args.config.resolve()?.data.scenes
            };
            Scenes::new(config)?.write_to(&args.out)?;
            print(format_args!(
                "{} scenes in {}\n",
                args.count,
                args.out.display()
            ))?;
        }
        Command::Dictionary(args) => {
            let device = vlp::device::pick(&args.device)?;
            let found = vlp::codebook::codebook(&args.run, args.pictures, args.out, &device)?;
            print(format_args!(
                "{:44} {:>9} {:>9}\n",
                "", "untrained", "trained"
            ))?;
            for (name, before, after) in found.rows {
                let (before, after) = (figure(before), figure(after));
                print(format_args!("{name:44} {before:>9} {after:>9}\n"))?;
            }
            print(format_args!("\n{}\n", found.path.display()))?;
        }
        Command::Weights(WeightsCommand::Inspect { file }) => {
            print(format_args!("{}", vlp::weights::inspect(&file)?))?;
        }
        Command::Weights(WeightsCommand::Export { run, file }) => {
            let device = vlp::device::pick("auto")?;
            let count = vlp::weights::export(&run, &file, &device)?;
            print(format_args!("{count} tensors in {}\n", file.display()))?;
        }
        Command::Config(ConfigCommand::Show(args)) => {
            print(format_args!("{}", explain(&args.resolve()?)?))?;
        }
        Command::Config(ConfigCommand::List) => {
            for (name, text) in vlp::config::PRESETS {
                let about = text
                    .lines()
                    .find_map(|l| l.strip_prefix("# "))
                    .unwrap_or("");
                print(format_args!("{name:16} {about}\n"))?;
            }
        }
    }
    Ok(())
}
