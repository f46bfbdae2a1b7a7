//! Metrics of generated captions.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use vlp_eval::caption::{CaptionPair, caption_scores};
use vlp_eval::results::CaptionResult;

use crate::error::ObjectiveError;
use crate::metrics::{MetricContext, Metrics, Predictions, Score};

/// BLEU-4 and CIDEr-D of generated captions. Only the first caption of an image counts, as in result files, against the
/// references of all its records.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CaptionMetrics {
    /// Index of each image's caption.
    index: HashMap<u64, usize>,
    captions: Vec<GeneratedCaption>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct GeneratedCaption {
    image_id: u64,
    ids: Vec<u32>,
    references: Vec<String>,
}

impl CaptionMetrics {
    /// Records the generated tokens of an image with its reference captions. If the image was recorded before, only new
    /// references are added.
    pub fn record(&mut self, image_id: u64, ids: &[u32], references: &[String]) {
        self.push(GeneratedCaption {
            image_id,
            ids: ids.to_vec(),
            references: references.to_vec(),
        });
    }

    fn push(&mut self, caption: GeneratedCaption) {
        let new = self.captions.len();
        let index = *self.index.entry(caption.image_id).or_insert(new);
        let Some(first) = self.captions.get_mut(index) else {
            return self.captions.push(caption);
        };
        for reference in caption.references {
            if !first.references.contains(&reference) {
                first.references.push(reference);
            }
        }
    }
}

impl Metrics for CaptionMetrics {
    fn merge(&mut self, other: Self) {
        for caption in other.captions {
            self.push(caption);
        }
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

    fn predictions(&self, context: &MetricContext<'_>, predictions: &mut Predictions) {
        let captions = self.captions.iter();
        predictions
            .captions
            .extend(captions.map(|caption| CaptionResult {
                image_id: caption.image_id,
                caption: context.tokenizer.decode(&caption.ids),
            }));
    }
}
