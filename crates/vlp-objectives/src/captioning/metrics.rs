//! Metrics of generated captions.

use std::collections::HashSet;

use vlp_eval::caption::{CaptionPair, caption_scores};
use vlp_eval::results::CaptionResult;

use crate::error::ObjectiveError;
use crate::metrics::{MetricContext, Metrics, Predictions, Score};

/// BLEU-4 and CIDEr-D of generated captions.
#[derive(Debug, Clone, Default)]
pub struct CaptionMetrics {
    captions: Vec<GeneratedCaption>,
}

#[derive(Debug, Clone)]
struct GeneratedCaption {
    image_id: u64,
    ids: Vec<u32>,
    references: Vec<String>,
}

impl CaptionMetrics {
    /// Records the generated tokens of an image with its reference captions.
    pub fn record(&mut self, image_id: u64, ids: &[u32], references: &[String]) {
        self.captions.push(GeneratedCaption {
            image_id,
            ids: ids.to_vec(),
            references: references.to_vec(),
        });
    }
}

impl Metrics for CaptionMetrics {
    fn merge(&mut self, other: Self) {
        self.captions.extend(other.captions);
    }

    fn scores(&self, context: &MetricContext<'_>) -> Result<Vec<Score>, ObjectiveError> {
        let captions = self.captions.iter();
        let texts: Vec<String> = captions
            .map(|caption| context.tokenizer.decode(&caption.ids))
            .collect();
        let pairs: Vec<CaptionPair<'_>> = texts
            .iter()
            .zip(&self.captions)
            .map(|(hypothesis, caption)| CaptionPair {
                hypothesis,
                references: &caption.references,
            })
            .collect();
        let scores = match pairs.is_empty() {
            true => None,
            false => Some(caption_scores(&pairs)?),
        };
        let scores = scores.as_ref();
        Ok(vec![
            Score::higher("caption/bleu4", scores.map(|scores| scores.bleu[3])),
            Score::higher("caption/cider_d", scores.map(|scores| scores.cider_d)),
        ])
    }

    /// The first caption of each image.
    fn predictions(&self, context: &MetricContext<'_>, predictions: &mut Predictions) {
        let mut images = HashSet::new();
        let captions = self.captions.iter();
        let captions = captions.filter(|caption| images.insert(caption.image_id));
        predictions
            .captions
            .extend(captions.map(|caption| CaptionResult {
                image_id: caption.image_id,
                caption: context.tokenizer.decode(&caption.ids),
            }));
    }
}
