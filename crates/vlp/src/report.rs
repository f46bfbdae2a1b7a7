//! The report page of a run: figures, curves, held-out pictures, masked words.

use std::fs;

use burn::prelude::*;
use vlp_data::Example;
use vlp_draw::{
    BoxKind, DrawnBox, MaskedText, MaskedWord, PictureCard, Prediction, Report, Row, Table,
};
use vlp_draw::{Curve, render};
use vlp_models::PretrainObjectives;
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::{
    Captioning, Detection, Encoded, Inputs, Itc, Itm, Mlm, Needs, Objective, ObjectiveError,
    VisionLanguage,
};
use vlp_transformer::TextBatch;

use crate::config::RunConfig;
use crate::data::Datasets;
use crate::error::VlpError;
use crate::progress::clock;
use crate::results::{Results, figure};
use crate::run::RunFolder;

/// Score from which a detection is drawn.
const DRAWN: f32 = 0.5;

/// The objectives whose predictions a page can show.
#[derive(Clone, Copy, Default)]
pub struct View<'a> {
    /// Image-text matching, by which retrieval ranks.
    pub itm: Option<&'a Itm>,
    /// Image-text contrast, by which retrieval searches first.
    pub itc: Option<&'a Itc>,
    /// Masked words.
    pub mlm: Option<&'a Mlm>,
    /// Boxes with classes and attributes.
    pub detection: Option<&'a Detection>,
    /// Captions.
    pub caption: Option<&'a Captioning>,
}

impl<'a> From<&'a PretrainObjectives> for View<'a> {
    fn from(set: &'a PretrainObjectives) -> Self {
        Self {
            itm: set.itm.as_ref(),
            itc: set.itc.as_ref(),
            mlm: set.mlm.as_ref(),
            detection: set.detection.as_ref(),
            caption: set.caption.as_ref(),
        }
    }
}

/// What a page shows besides the run's files.
pub struct Page<'a, M> {
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// Its configuration.
    pub config: &'a RunConfig,
    /// Its data.
    pub data: &'a Datasets,
    /// The trained model, without autodiff.
    pub model: &'a M,
    /// Its objectives.
    pub view: View<'a>,
    /// Number of parameters, heads included.
    pub parameters: usize,
    /// Where the model is.
    pub device: &'a Device,
    /// Held-out figures.
    pub results: &'a Results,
    /// Remarks.
    pub notes: Vec<String>,
}

impl<M: VisionLanguage> Page<'_, M> {
    /// Writes `report.html`.
    pub fn write(self) -> Result<(), VlpError> {
        let (examples, faults) = self.data.heldout(self.config, 0..self.config.eval.pictures);
        let (mut pictures, mut masked) = (vec![], vec![]);
        let batcher = self.data.batcher(self.config);
        // A picture at a time: nothing is padded, and large ones fit.
        for example in &examples {
            let mut draft = batcher.draft(example, 0);
            let target = self
                .view
                .mlm
                .map(|mlm| mlm.prepare(&mut draft))
                .transpose()?;
            let images = batcher.picture(example, self.device)?;
            let text = TextBatch::pack(
                &[&draft.text.ids],
                self.data.pieces.special().pad,
                self.device,
            );
            let inputs = Inputs {
                images: &images,
                text: &text,
                image_of: &[0],
                cells: &[],
            };
            let needs = match self.view.detection.is_some() || self.view.caption.is_some() {
                true => Needs::JOINT.or(Needs::IMAGE),
                false => Needs::JOINT,
            };
            let encoded = self.model.encode(&inputs, needs)?;
            masked.extend(self.masked(
                &encoded,
                &draft.text.ids,
                target.as_ref(),
                pictures.len(),
            )?);
            pictures.push(self.picture(&encoded, example)?);
        }
        let mut notes = self.notes.clone();
        // Scoring has met most of them before.
        notes.extend(
            faults
                .into_iter()
                .filter(|fault| !self.notes.contains(fault)),
        );
        let report = Report {
            title: format!("vlp pre-training: {}", self.config.preset),
            summary: self.summary(),
            metrics: self.metrics(),
            curves: self.curves()?,
            pictures,
            masked,
            config: toml::to_string(self.config).map_err(|e| VlpError::Config(e.to_string()))?,
            notes,
        };
        let path = self.folder.report();
        fs::write(&path, render(&report)?).map_err(VlpError::io(&path))
    }

    fn summary(&self) -> Vec<(String, String)> {
        let config = self.config;
        [
            ("preset", config.preset.clone()),
            (
                "data",
                format!(
                    "{} ({} pictures)",
                    config.data.source,
                    self.data.train.len()
                ),
            ),
            (
                "steps",
                format!(
                    "{} of {} pictures",
                    self.results.step,
                    config.data.batch_size * config.train.accumulate
                ),
            ),
            ("wall time", clock(self.results.seconds)),
            ("device", self.results.device.clone()),
            (
                "parameters",
                format!("{:.2} million", self.parameters as f64 / 1e6),
            ),
            ("held out", format!("{} examples", self.results.examples)),
            ("skipped steps", self.results.skipped_steps.to_string()),
            ("seed", config.seed.to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec()
    }

    fn metrics(&self) -> Table {
        let rows = self.results.rows();
        let rows = rows.map(|(name, before, after)| {
            Row::from(vec![name.into(), figure(before), figure(after)])
        });
        let columns = ["held-out figure", self.results.before(), "trained"]
            .map(String::from)
            .to_vec();
        Table {
            columns,
            rows: rows.collect(),
        }
    }

    fn curves(&self) -> Result<Vec<Curve>, VlpError> {
        let records = vlp_train::log::read_all(&self.folder.metrics())?;
        let mut names: Vec<String> = vec![];
        for (_, record) in &records {
            for name in record.keys().filter(|n| n.starts_with("loss/")) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        let curve = |name: &String| {
            let points = records.iter().filter_map(|(step, record)| {
                Some((*step as f64, record.get(name)?.as_f64().unwrap_or(f64::NAN)))
            });
            let name = name.trim_start_matches("loss/").to_string();
            Curve {
                name,
                unit: String::new(),
                points: points.collect(),
            }
        };
        let shown = names.iter().filter(|n| !n.ends_with("objects"));
        // A term that never was anything (attributes where none are annotated) says nothing.
        let flat = |curve: &Curve| curve.points.iter().all(|(_, value)| *value == 0.0);
        Ok(shown.map(curve).filter(|curve| !flat(curve)).collect())
    }

    fn picture(
        &self,
        encoded: &Encoded<'_>,
        example: &Example,
    ) -> Result<PictureCard, ObjectiveError> {
        let (w, h) = (example.width as f32, example.height as f32);
        let labels = &self.data.labels;
        let class = |i: usize| {
            labels
                .classes
                .get(i)
                .cloned()
                .unwrap_or_else(|| i.to_string())
        };
        let attribute = |i: usize| labels.attributes.get(i).map_or("?", String::as_str);
        let mut boxes: Vec<DrawnBox> = example
            .objects
            .iter()
            .flatten()
            .map(|object| DrawnBox {
                x0: object.bbox[0],
                y0: object.bbox[1],
                x1: object.bbox[2],
                y1: object.bbox[3],
                label: class(object.class),
                score: None,
                kind: BoxKind::Truth,
                detail: object
                    .attributes
                    .iter()
                    .map(|&a| attribute(a))
                    .collect::<Vec<_>>()
                    .join(", "),
            })
            .collect();
        let groups = example
            .objects
            .iter()
            .flatten()
            .map(|o| o.attributes.len())
            .max()
            .unwrap_or(0);
        if let Some(detection) = self.view.detection {
            let found = detection.detect(encoded, 0)?.pop().unwrap_or_default();
            for object in found.into_iter().filter(|f| f.score >= DRAWN) {
                let [x0, y0, x1, y1] = vlp_objectives::detection::boxes::corners(object.bbox);
                let mut order: Vec<usize> = (0..object.attributes.len()).collect();
                order.sort_by(|&a, &b| object.attributes[b].total_cmp(&object.attributes[a]));
                let named: Vec<&str> = order.iter().take(groups).map(|&a| attribute(a)).collect();
                boxes.push(DrawnBox {
                    x0: x0.min(x1) * w,
                    y0: y0.min(y1) * h,
                    x1: x1.max(x0) * w,
                    y1: y1.max(y0) * h,
                    label: class(object.class),
                    score: Some(object.score),
                    kind: BoxKind::Predicted,
                    detail: named.join(", "),
                });
            }
        }
        let mut captions = vec![];
        if let (Some(caption), Some(config)) = (self.view.caption, &self.config.objectives.caption)
        {
            let special = self.data.pieces.special();
            let ends = (special.cls, special.sep);
            let written = caption.write(encoded, config, ends, &[example.key])?;
            for found in written {
                captions.push((
                    self.data.pieces.decode(&found.ids),
                    example.captions.join("  ·  "),
                ));
            }
        }
        Ok(PictureCard {
            title: example.name.clone(),
            width: example.picture.width as u32,
            height: example.picture.height as u32,
            rgb: example.picture.rgb.clone(),
            boxes,
            captions,
        })
    }

    fn masked(
        &self,
        encoded: &Encoded<'_>,
        ids: &[u32],
        target: Option<&MlmTarget>,
        picture: usize,
    ) -> Result<Option<MaskedText>, ObjectiveError> {
        let (Some(mlm), Some(target)) = (self.view.mlm, target) else {
            return Ok(None);
        };
        if target.masked.is_empty() {
            return Ok(None);
        }
        let guesses = mlm
            .predict(encoded, std::slice::from_ref(target), 4)?
            .pop()
            .unwrap_or_default();
        let pieces = &self.data.pieces;
        let name = |id: u32| pieces.piece(id).unwrap_or("?").to_string();
        let special = pieces.special();
        let words = ids.iter().enumerate().filter_map(|(place, &id)| {
            let at = target
                .masked
                .iter()
                .position(|(masked, _)| *masked == place);
            let masked = at.map(|at| Prediction {
                truth: name(target.masked[at].1),
                top: guesses
                    .get(at)
                    .into_iter()
                    .flatten()
                    .map(|&(id, p)| (name(id), p))
                    .collect(),
            });
            let hidden =
                masked.is_none() && (id == special.cls || id == special.sep || id == special.pad);
            (!hidden).then(|| MaskedWord {
                text: name(id),
                masked,
            })
        });
        Ok(Some(MaskedText {
            picture: Some(picture),
            words: words.collect(),
        }))
    }
}
