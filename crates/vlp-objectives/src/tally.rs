//! Held-out scores, added up batch by batch.

use std::collections::{BTreeMap, HashSet};

use vlp_data::LabelSpace;
use vlp_eval::caption::{CaptionPair, caption_scores};
use vlp_eval::coco_ap;
use vlp_eval::nlvr2::{Nlvr2Label, nlvr2};
use vlp_eval::results::CaptionResult;
use vlp_eval::vqa::VqaResult;
use vlp_text::WordPieces;

use crate::detection::boxes::corners;
use crate::detection::{DetectionTarget, Found, TargetObject};
use crate::error::ObjectiveError;

/// Scores of a held-out pass: shares of right answers, detections, captions.
#[derive(Debug, Default)]
pub struct Tally {
    shares: BTreeMap<&'static str, (f64, u64)>,
    images: Vec<u64>,
    truths: Vec<coco_ap::GroundTruth>,
    detections: Vec<coco_ap::Detection>,
    captions: Vec<Written>,
    statements: Vec<(Nlvr2Label, bool)>,
    answers: Vec<VqaResult>,
    pub(crate) codes: Vec<u64>,
    pub(crate) restarts: u64,
}

/// A generated caption.
#[derive(Debug)]
struct Written {
    key: u64,
    ids: Vec<u32>,
    references: Vec<String>,
}

/// What a model said of held-out examples, as the official tools read it.
#[derive(Debug, Default)]
pub struct Predictions {
    /// Answers to questions that have an official id.
    pub answers: Vec<VqaResult>,
    /// A caption of each picture.
    pub captions: Vec<CaptionResult>,
    /// Detections, best first within a picture; categories are the data set's ids.
    pub detections: Vec<coco_ap::Detection>,
    /// What was thought of statements about two pictures.
    pub statements: Vec<Nlvr2Label>,
}

/// A name with its figure; `None` where nothing defines it (no object, no masked word).
pub type Score = (String, Option<f64>);

impl Tally {
    /// Counts one answer towards the share of right ones called `name`.
    pub fn count(&mut self, name: &'static str, right: bool) {
        self.share(name, f64::from(u8::from(right)));
    }

    /// Counts one answer that is right to a degree in `0..=1`.
    pub fn share(&mut self, name: &'static str, degree: f64) {
        let entry = self.shares.entry(name).or_default();
        entry.0 += degree;
        entry.1 += 1;
    }

    /// Adds a picture's detections and true objects, in pixels of the original picture.
    pub fn detections(&mut self, found: &[Found], target: &DetectionTarget) {
        let (w, h) = (target.size.0 as f64, target.size.1 as f64);
        let place = |bbox: [f32; 4]| {
            let [x0, y0, x1, y1] = corners(bbox).map(f64::from);
            [
                x0 * w,
                y0 * h,
                (x1 - x0).max(0.0) * w,
                (y1 - y0).max(0.0) * h,
            ]
        };
        self.images.push(target.key);
        for object in &target.objects {
            let bbox = place(object.bbox);
            self.truths.push(coco_ap::GroundTruth {
                image_id: target.key,
                category_id: object.class as u32,
                bbox,
                area: bbox[2] * bbox[3],
                crowd: false,
            });
        }
        for object in found {
            self.detections.push(coco_ap::Detection {
                image_id: target.key,
                category_id: object.class as u32,
                bbox: place(object.bbox),
                score: f64::from(object.score),
            });
        }
    }

    /// Counts class and attributes of a query that was matched to `truth`.
    ///
    /// Of an object with k attributes, the share found among the k most probable counts.
    pub fn matched(&mut self, found: &Found, truth: &TargetObject) {
        self.count("class accuracy (matched)", found.class == truth.class);
        if truth.attributes.is_empty() || found.attributes.is_empty() {
            return;
        }
        let mut order: Vec<usize> = (0..found.attributes.len()).collect();
        order.sort_by(|&a, &b| found.attributes[b].total_cmp(&found.attributes[a]));
        let top = &order[..truth.attributes.len().min(order.len())];
        let right = truth.attributes.iter().filter(|a| top.contains(a)).count();
        self.share(
            "attribute accuracy (matched)",
            right as f64 / truth.attributes.len() as f64,
        );
    }

    /// Adds a generated caption beside its references.
    pub fn caption(&mut self, key: u64, ids: &[u32], references: &[String]) {
        self.captions.push(Written {
            key,
            ids: ids.to_vec(),
            references: references.to_vec(),
        });
    }

    /// Adds the answer to the question of this id.
    pub fn answer(&mut self, question: u64, answer: &str) {
        self.answers.push(VqaResult {
            question_id: question,
            answer: answer.into(),
        });
    }

    /// Everything that was added, for result files. Of a question or picture seen twice the first counts.
    pub fn predictions(&self, labels: &LabelSpace, pieces: &WordPieces) -> Predictions {
        let mut seen = HashSet::new();
        let mut once = |key: (u8, u64)| seen.insert(key);
        let answers = self.answers.iter().filter(|a| once((0, a.question_id)));
        let answers = answers.cloned().collect();
        let captions = self.captions.iter().filter(|c| once((1, c.key)));
        Predictions {
            answers,
            captions: captions
                .map(|c| CaptionResult {
                    image_id: c.key,
                    caption: pieces.decode(&c.ids),
                })
                .collect(),
            detections: self
                .detections
                .iter()
                .map(|d| coco_ap::Detection {
                    category_id: labels.id(d.category_id as usize) as u32,
                    ..d.clone()
                })
                .collect(),
            statements: self
                .statements
                .iter()
                .map(|(label, guess)| Nlvr2Label {
                    identifier: label.identifier.clone(),
                    label: *guess,
                })
                .collect(),
        }
    }

    /// Adds a guess about a statement on two pictures.
    pub fn statement(&mut self, identifier: &str, truth: bool, guess: bool) {
        let label = Nlvr2Label {
            identifier: identifier.into(),
            label: truth,
        };
        self.statements.push((label, guess));
    }

    /// All figures, by name.
    pub fn scores(&self, pieces: &WordPieces) -> Result<Vec<Score>, ObjectiveError> {
        let mut scores: Vec<Score> = self
            .shares
            .iter()
            .map(|(name, (sum, n))| (name.to_string(), (*n > 0).then(|| sum / *n as f64)))
            .collect();
        scores.extend(self.dictionary());
        if !self.statements.is_empty() {
            let labels: Vec<Nlvr2Label> = self.statements.iter().map(|s| s.0.clone()).collect();
            let guesses = self.statements.iter().map(|(label, guess)| Nlvr2Label {
                identifier: label.identifier.clone(),
                label: *guess,
            });
            let found = nlvr2(&labels, &guesses.collect::<Vec<_>>())?;
            scores.push(("NLVR2 accuracy".into(), Some(found.accuracy)));
            scores.push(("NLVR2 consistency".into(), Some(found.consistency)));
        }
        if !self.images.is_empty() {
            let summary = coco_ap::evaluate(&self.images, &self.truths, &self.detections)?;
            scores.push(("detection AP".into(), summary.ap));
            scores.push(("detection AP50".into(), summary.ap50));
        }
        if !self.captions.is_empty() {
            let texts: Vec<String> = self
                .captions
                .iter()
                .map(|written| pieces.decode(&written.ids))
                .collect();
            let pairs: Vec<CaptionPair<'_>> = texts
                .iter()
                .zip(&self.captions)
                .map(|(hypothesis, written)| CaptionPair {
                    hypothesis,
                    references: &written.references,
                })
                .collect();
            let found = caption_scores(&pairs)?;
            scores.push(("caption BLEU-4".into(), Some(found.bleu[3])));
            scores.push(("caption CIDEr-D".into(), Some(found.cider_d)));
        }
        Ok(scores)
    }
}
