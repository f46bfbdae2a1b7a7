//! `vlp score`: scores result files against annotations, as the official tools do.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vlp::VlpError;
use vlp::format::NAME_WIDTH;
use vlp_eval::caption::meteor::Meteor;
use vlp_eval::caption::{caption_scores, tokenize_pairs};
use vlp_eval::results::{self, FileError, FileScores, Selection};

use super::output::{print, print_metric, warn};

/// Task of a result file.
#[derive(Clone, Copy, ValueEnum)]
enum Task {
    /// VQA v2: `[{"question_id", "answer"}]` against `v2_mscoco_*_annotations.json`.
    Vqa,
    /// COCO captions: `[{"image_id", "caption"}]` against `captions_*.json`.
    Caption,
    /// COCO detection: `[{"image_id", "category_id", "bbox", "score"}]` against `instances_*.json`.
    Detection,
    /// NLVR2: `identifier,prediction` lines against `dev.json` or `test1.json`.
    Nlvr2,
}

/// A result file and its annotations.
#[derive(Args)]
pub(super) struct ScoreArgs {
    /// The task.
    task: Task,
    /// The result file.
    results: PathBuf,
    /// The annotations.
    annotations: PathBuf,
    /// Score only the images, questions or NLVR2 pairs that are in the result file, such as the test images of Karpathy's
    /// split. Without this, captions, answers and predictions must be complete, and an image without detections counts.
    #[arg(long)]
    subset: bool,
    /// The official `meteor-1.5.jar`, to compute METEOR of captions as well; needs Java.
    #[arg(long, value_name = "JAR")]
    meteor: Option<PathBuf>,
}

/// COCO's twelve metrics in the order of the official tool.
const COCO_METRICS: [&str; 12] = [
    "AP",
    "AP50",
    "AP75",
    "AP small",
    "AP medium",
    "AP large",
    "AR 1",
    "AR 10",
    "AR 100",
    "AR small",
    "AR medium",
    "AR large",
];

impl ScoreArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        if self.meteor.is_some() && !matches!(self.task, Task::Caption) {
            let reason = "--meteor: only captions have METEOR (vlp score caption)";
            return Err(VlpError::Config(reason.into()));
        }
        match self.task {
            Task::Vqa => self.vqa(),
            Task::Caption => self.captions(),
            Task::Detection => self.detections(),
            Task::Nlvr2 => self.nlvr2(),
        }
    }

    fn vqa(&self) -> Result<(), VlpError> {
        let scores = results::score_vqa(&self.results, &self.annotations, &self.selection());
        let scores = print_scored("questions", scores.map_err(|e| self.explain(e))?)?;
        print_metric("VQA accuracy", Some(scores.overall))?;
        for (kind, value) in scores.by_answer_type.iter().chain(&scores.by_question_type) {
            print_metric(&format!("  {kind}"), Some(*value))?;
        }
        Ok(())
    }

    fn captions(&self) -> Result<(), VlpError> {
        let invalid = |reason: String| VlpError::Config(reason);
        let selection = self.selection();
        let captions =
            results::read_annotated_captions(&self.results, &self.annotations, &selection);
        let captions = captions.map_err(|e| self.explain(e))?;
        print_notes(&captions.notes);
        let pairs = captions.pairs();
        let scores = caption_scores(&pairs).map_err(|e| invalid(e.to_string()))?;
        print_count("images", pairs.len(), captions.annotated)?;
        for (n, value) in scores.bleu.iter().enumerate() {
            print_metric(&format!("BLEU-{}", n + 1), Some(*value))?;
        }
        print_metric("ROUGE-L", Some(scores.rouge_l))?;
        print_metric("CIDEr-D", Some(scores.cider_d))?;
        if let Some(jar) = &self.meteor {
            let mut meteor = Meteor::new(jar).map_err(|e| invalid(e.to_string()))?;
            let scores = meteor.score(&tokenize_pairs(&pairs));
            let meteor = scores.map_err(|e| invalid(e.to_string()))?.meteor;
            print_metric("METEOR", Some(meteor))?;
        }
        Ok(())
    }

    fn detections(&self) -> Result<(), VlpError> {
        let scores = results::score_detections(&self.results, &self.annotations, &self.selection());
        let scores = print_scored("images", scores.map_err(|e| self.explain(e))?)?;
        for (name, value) in COCO_METRICS.iter().zip(scores.stats()) {
            print_metric(name, value)?;
        }
        Ok(())
    }

    fn nlvr2(&self) -> Result<(), VlpError> {
        let scores = results::score_nlvr2(&self.results, &self.annotations, &self.selection());
        let scores = print_scored("image pairs", scores.map_err(|e| self.explain(e))?)?;
        print_metric("NLVR2 accuracy", Some(scores.accuracy))?;
        print_metric("NLVR2 consistency", Some(scores.consistency))
    }

    /// Adds the flag that scores an incomplete result file to an error, or the annotations if those may be wrong.
    fn explain(&self, error: FileError) -> VlpError {
        match error {
            FileError::Missing {
                count, expected, ..
            } if count < expected => VlpError::Config(format!(
                "{error}; to score only those in the file, add --subset"
            )),
            FileError::UnknownId { .. } | FileError::Missing { .. } | FileError::Score { .. } => {
                let annotations = self.annotations.display();
                VlpError::Config(format!("{error}; the annotations are {annotations}"))
            }
            error => error.into(),
        }
    }

    fn selection<I>(&self) -> Selection<'static, I> {
        match self.subset {
            true => Selection::InResults,
            false => Selection::All,
        }
    }
}

/// Prints how much was scored and returns the metrics.
fn print_scored<S>(kind: &str, file: FileScores<S>) -> Result<S, VlpError> {
    print_notes(&file.notes);
    if file.without_results > 0 {
        let count = file.without_results;
        warn(format_args!(
            "note: {kind} without a detection: {count}; to score only the others, add --subset"
        ));
    }
    print_count(kind, file.scored, file.annotated)?;
    Ok(file.scores)
}

fn print_notes(notes: &[String]) {
    for note in notes {
        warn(format_args!("note: {note}"));
    }
}

/// Prints how many of the annotated images or questions were scored.
fn print_count(kind: &str, scored: usize, annotated: usize) -> Result<(), VlpError> {
    let count = match scored == annotated {
        true => scored.to_string(),
        false => format!("{scored} of {annotated}"),
    };
    print(format_args!("{kind:NAME_WIDTH$} {count:>9}\n"))
}
