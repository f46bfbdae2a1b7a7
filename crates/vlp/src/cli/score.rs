//! `vlp score`: result files against annotations, as the official tools score them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vlp::VlpError;
use vlp::results::figure;
use vlp_eval::caption::meteor::Meteor;
use vlp_eval::caption::{CaptionPair, caption_scores, tokenize_pairs};
use vlp_eval::results;

use super::output::print;

/// What a result file answers.
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

/// A result file and what is true.
#[derive(Args)]
pub(crate) struct ScoreArgs {
    /// What the file answers.
    task: Task,
    /// The result file.
    results: PathBuf,
    /// The annotations.
    annotations: PathBuf,
    /// METEOR's own `meteor-1.5.jar`, to score captions by it as well; needs Java.
    #[arg(long, value_name = "JAR")]
    meteor: Option<PathBuf>,
}

/// COCO's twelve numbers in the order of the official tool.
const COCO: [&str; 12] = [
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

fn show(name: &str, value: Option<f64>) -> Result<(), VlpError> {
    print(format_args!("{name:34} {:>9}\n", figure(value)))
}

impl ScoreArgs {
    pub(crate) fn run(self) -> Result<(), VlpError> {
        let (found, truth) = (&self.results, &self.annotations);
        match self.task {
            Task::Vqa => {
                let scores = results::vqa(found, truth)?;
                show("VQA accuracy", Some(scores.overall))?;
                for (kind, value) in scores.by_answer_type.iter().chain(&scores.by_question_type) {
                    show(&format!("  {kind}"), Some(*value))?;
                }
            }
            Task::Caption => self.captions()?,
            Task::Detection => {
                let scores = results::coco_ap(found, truth)?;
                for (name, value) in COCO.iter().zip(scores.numbers()) {
                    show(name, value)?;
                }
            }
            Task::Nlvr2 => {
                let scores = results::nlvr2(found, truth)?;
                show("NLVR2 accuracy", Some(scores.accuracy))?;
                show("NLVR2 consistency", Some(scores.consistency))?;
            }
        }
        Ok(())
    }

    fn captions(&self) -> Result<(), VlpError> {
        let wrong = |reason: String| VlpError::Config(reason);
        let found = results::caption_pairs(&self.results, &self.annotations, None)?;
        let pairs: Vec<CaptionPair<'_>> = found
            .iter()
            .map(|(result, references)| CaptionPair {
                hypothesis: &result.caption,
                references,
            })
            .collect();
        let scores = caption_scores(&pairs).map_err(|e| wrong(e.to_string()))?;
        for (n, value) in scores.bleu.iter().enumerate() {
            show(&format!("BLEU-{}", n + 1), Some(*value))?;
        }
        show("ROUGE-L", Some(scores.rouge_l))?;
        show("CIDEr-D", Some(scores.cider_d))?;
        if let Some(jar) = &self.meteor {
            let mut meteor = Meteor::new(jar).map_err(|e| wrong(e.to_string()))?;
            let scored = meteor.score(&tokenize_pairs(&pairs));
            show(
                "METEOR",
                Some(scored.map_err(|e| wrong(e.to_string()))?.meteor),
            )?;
        }
        Ok(())
    }
}
