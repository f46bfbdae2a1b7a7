//! The command line: one file for each subcommand.

mod common_args;
mod config;
mod counter;
mod data;
mod dictionary;
mod evaluate;
mod features;
mod index;
pub(crate) mod output;
mod predict;
mod scenes;
mod score;
mod search;
mod serve;
mod stop;
mod train;
mod weights;

use std::sync::Arc;

use clap::{Parser, Subcommand};
use vlp::VlpError;
use vlp_distributed::ProcessGroup;

/// End-to-end vision-language pre-training.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pre-train a model and write a run folder with checkpoints, metrics and a report page.
    Pretrain(train::PretrainArgs),
    /// Fine-tune a pre-trained model for a task: vqa, nlvr2, snli-ve, retrieval, caption or detection.
    Finetune(train::FinetuneArgs),
    /// Evaluate a run's model on validation examples.
    Evaluate(evaluate::EvaluateArgs),
    /// Score a result file against annotations, as the official tools do: vqa, caption, detection or nlvr2.
    Score(score::ScoreArgs),
    /// Apply a run's model to images: objects, a caption, answers, matching texts.
    Predict(predict::PredictArgs),
    /// Write features of images and texts of a data source as safetensors: grid, text and joint.
    Features(features::FeaturesArgs),
    /// Encode the images and texts of a data source once, to search among them.
    Index(index::IndexArgs),
    /// Find images by a text, or texts by an image, in an index.
    Search(search::SearchArgs),
    /// Serve runs to a web page and to programs, on this machine.
    Serve(serve::ServeArgs),
    /// Inspect data before training: check, stats, view; pack it into shards.
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Write generated scenes as COCO, VQA v2, NLVR2 and SNLI-VE files with PNG images.
    Scenes(scenes::ScenesArgs),
    /// Write a page about a run's visual dictionary: typical patches and words of each code, images by code.
    Dictionary(dictionary::DictionaryArgs),
    /// Inspect a checkpoint of another project, or export a run's weights as safetensors.
    #[command(subcommand)]
    Weights(weights::WeightsCommand),
    /// Show configurations.
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// Parses the command line and runs the command, in one process or in each of those that train together.
///
/// # Errors
/// That of the command.
pub(crate) fn run(processes: &Arc<dyn ProcessGroup>) -> Result<(), VlpError> {
    match Cli::parse().command {
        Command::Pretrain(args) => args.run(processes),
        Command::Finetune(args) => args.run(processes),
        _ if processes.world_size() > 1 => Err(VlpError::Config(format!(
            "{} processes were started together, but only pretrain and finetune share their work: start one",
            processes.world_size()
        ))),
        Command::Evaluate(args) => args.run(),
        Command::Score(args) => args.run(),
        Command::Predict(args) => args.run(),
        Command::Features(args) => args.run(),
        Command::Index(args) => args.run(),
        Command::Search(args) => args.run(),
        Command::Serve(args) => args.run(),
        Command::Data(command) => command.run(),
        Command::Scenes(args) => args.run(),
        Command::Dictionary(args) => args.run(),
        Command::Weights(command) => command.run(),
        Command::Config(command) => command.run(),
    }
}
