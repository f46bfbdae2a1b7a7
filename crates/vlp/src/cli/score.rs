//! `vlp score`: scores result files against annotations, as the official tools do.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vlp::VlpError;
use vlp_eval::caption::meteor::Meteor;
use vlp_eval::caption::{CaptionPair, caption_scores, tokenize_pairs};
use vlp_eval::results as files;

use super::output::print_metric;

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
        let (results, annotations) = (&self.results, &self.annotations);
        match self.task {
            Task::Vqa => {
                let scores = files::score_vqa(results, annotations)?;
                print_metric("VQA accuracy", Some(scores.overall))?;
                for (kind, value) in scores.by_answer_type.iter().chain(&scores.by_question_type) {
                    print_metric(&format!("  {kind}"), Some(*value))?;
                }
            }
            Task::Caption => self.captions()?,
            Task::Detection => {
                let scores = files::score_detections(results, annotations)?;
                for (name, value) in COCO_METRICS.iter().zip(scores.stats()) {
                    print_metric(name, value)?;
                }
            }
            Task::Nlvr2 => {
                let scores = files::score_nlvr2(results, annotations)?;
                print_metric("NLVR2 accuracy", Some(scores.accuracy))?;
                print_metric("NLVR2 consistency", Some(scores.consistency))?;
            }
        }
        Ok(())
    }

    fn captions(&self) -> Result<(), VlpError> {
        let invalid = |reason: String| VlpError::Config(reason);
        let captions = files::read_caption_pairs(&self.results, &self.annotations, None)?;
        let pairs: Vec<CaptionPair<'_>> = captions
            .iter()
            .map(|(result, references)| CaptionPair {
                hypothesis: &result.caption,
                references,
            })
            .collect();
        let scores = caption_scores(&pairs).map_err(|e| invalid(e.to_string()))?;
        for (n, value) in scores.bleu.iter().enumerate() {
            print_metric(&format!("BLEU-{}", n + 1), Some(*value))?;
        }
        print_metric("ROUGE-L", Some(scores.rouge_l))?;
        print_metric("CIDEr-D", Some(scores.cider_d))?;
        if let Some(jar) = &self.meteor {
            let mut meteor = Meteor::new(jar).map_err(|e| invalid(e.to_string()))?;
            let scores = meteor.score(&tokenize_pairs(&pairs));
            print_metric(
                "METEOR",
                Some(scores.map_err(|e| invalid(e.to_string()))?.meteor),
            )?;
        }
        Ok(())
    }
}
