//! `vlp evaluate`.

use std::path::PathBuf;

use clap::Args;
use vlp::VlpError;
use vlp::eval::{evaluate_run, write_results};
use vlp::format::{format_metric, name_width};
use vlp::run::run_config;

use super::common_args::{CheckpointArgs, InferenceArgs, OverrideArgs};
use super::output::{check_folder, print, warn};

#[derive(Args)]
pub(super) struct EvaluateArgs {
    /// Folder of the run.
    run: PathBuf,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Folder for result files in the formats of the official tools: answers, captions, detections, NLVR2 predictions.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    #[command(flatten)]
    config: OverrideArgs,
    #[command(flatten)]
    device: InferenceArgs,
}

impl EvaluateArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        if let Some(folder) = &self.results {
            check_folder("--results", folder)?;
        }
        let device = self.device.pick()?;
        let objectives = run_config(&self.run)?.objectives;
        let has_predictions = objectives.caption.is_some()
            || objectives.detection.is_some()
            || objectives.vqa.is_some()
            || objectives.nlvr2.is_some();
        if self.results.is_some() && !has_predictions {
            let message = "--results: this run has no head whose predictions the tools score";
            return Err(VlpError::Config(message.into()));
        }
        let sources = self.config.sources();
        let validation = evaluate_run(&self.run, self.checkpoint.choice, &sources, &device)?;
        let names = validation.scores.iter().map(|score| score.name.as_str());
        let width = name_width(names);
        for score in &validation.scores {
            let value = format_metric(score.value);
            print(format_args!("{:width$} {value:>9}\n", score.name))?;
        }
        for note in &validation.notes {
            warn(format_args!("note: {note}"));
        }
        for problem in &validation.unreadable {
            warn(format_args!("skipped: {problem}"));
        }
        if let Some(available) = validation.available {
            let examples = validation.examples;
            let hint = match examples + validation.unreadable.len() < available {
                true => format!("; --set eval.examples={available} evaluates all"),
                false => String::new(),
            };
            warn(format_args!(
                "evaluated: {examples} of {available} examples{hint}"
            ));
        }
        if let Some(folder) = self.results {
            let count = validation.predictions.answers_without_id;
            if count > 0 {
                warn(format_args!(
                    "note: vqa.json lacks {count} answers, because the ids of their questions are not numbers"
                ));
            }
            for file in write_results(&validation.predictions, &folder)? {
                print(format_args!("{}\n", file.display()))?;
            }
        }
        Ok(())
    }
}
