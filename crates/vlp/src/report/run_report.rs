//! The report page of a run: metrics, loss curves, validation images, masked words.

use std::iter;

use burn::prelude::*;
use vlp_data::Example;
use vlp_draw::{
    BoxKind, Curve, DrawnBox, ImageCard, MaskedText, MaskedWord, Report, Row, Table,
    WordPrediction, render_report,
};
use vlp_files::write_whole;
use vlp_objectives::detection::boxes::corners;
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::{
    Captioning, Detection, EncoderOutput, EncoderPasses, Inputs, Mlm, Objective, ObjectiveError,
    ObjectiveSet, Pairing, Pretrain, VisionLanguage,
};
use vlp_train::log::read_records;
use vlp_transformer::TextBatch;

use super::boxes::{annotated_box, name_or_index, top_indices};
use crate::config::RunConfig;
use crate::data::Datasets;
use crate::error::VlpError;
use crate::format::{format_duration, format_metric};
use crate::run::log_keys::{loss_key, loss_name};
use crate::run::{Results, RunFolder};

/// Minimum score of the detections that are drawn.
const MIN_SCORE: f32 = 0.5;
/// Number of candidates shown for a masked word.
const MLM_CANDIDATES: usize = 4;

/// Contents of the report page, in addition to the files of the run.
#[derive(Debug)]
pub struct RunReport<'a, M: VisionLanguage, O: ObjectiveSet> {
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// Its configuration.
    pub config: &'a RunConfig,
    /// Its data.
    pub data: &'a Datasets,
    /// The trained model, without autodiff.
    pub model: &'a Pretrain<M, O>,
    /// Device of the model.
    pub device: &'a Device,
    /// Validation metrics.
    pub results: &'a Results,
    /// Messages.
    pub notes: Vec<String>,
}

impl<M: VisionLanguage, O: ObjectiveSet> RunReport<'_, M, O> {
    /// Writes `report.html`.
    ///
    /// # Errors
    /// [`VlpError::Io`] if it cannot be written, [`VlpError::Objective`] for images too small for the model.
    pub fn write(self) -> Result<(), VlpError> {
        let count = self.config.eval.images;
        let (examples, errors) = self.data.load_validation(self.config, 0..count)?;
        let (mut images, mut masked) = (vec![], vec![]);
        let collator = self.data.collator(self.config);
        let pad = self.data.tokenizer.special_tokens().pad;
        // One image at a time: none is padded, and large ones fit into memory.
        for example in &examples {
            let mut pair = collator.pair(example, 0);
            let mlm: Option<&Mlm> = self.model.objectives.member();
            let target = mlm.map(|mlm| mlm.prepare(&mut pair)).transpose()?;
            let image = collator.image(example, self.device)?;
            let text = TextBatch::collate(&[&pair.text.ids], pad, self.device);
            let pairing = Pairing::one_to_one(1);
            let inputs = Inputs::new(&image, &text, &pairing);
            let passes = match self.detection().is_some() || self.captioning().is_some() {
                true => EncoderPasses::JOINT.union(EncoderPasses::IMAGE),
                false => EncoderPasses::JOINT,
            };
            let output = self.model.model.encode(&inputs, passes)?;
            let ids = &pair.text.ids;
            if let (Some(mlm), Some(target)) = (mlm, &target) {
                masked.extend(self.masked_text(mlm, &output, ids, target, images.len()));
            }
            images.push(self.image_card(&output, example)?);
        }
        let mut notes = self.notes.clone();
        // Most of them were reported by the evaluation.
        let new_errors = errors.into_iter().filter(|e| !self.notes.contains(e));
        notes.extend(new_errors);
        let report = Report {
            title: format!("vlp training: {}", self.config.preset),
            summary: self.summary(),
            metrics: self.metrics(),
            curves: self.curves()?,
            images,
            masked,
            config: toml::to_string(self.config).map_err(|e| VlpError::Config(e.to_string()))?,
            notes,
        };
        let path = self.folder.report();
        write_whole(&path, render_report(&report)?.as_bytes()).map_err(VlpError::io(&path))
    }

    fn summary(&self) -> Vec<(String, String)> {
        let (config, results) = (self.config, self.results);
        let images = self.data.train.len();
        let mixed = config.data.mix.iter().map(|mix| mix.source.as_str());
        let sources: Vec<&str> = iter::once(config.data.source.as_str())
            .chain(mixed)
            .collect();
        let sources = sources.join(", ");
        let step_images = config.data.batch_size * config.train.accumulate;
        let parameters = self.model.num_params() as f64 / 1e6;
        [
            ("preset", config.preset.clone()),
            ("data", format!("{sources} ({images} images)")),
            ("steps", format!("{} of {step_images} images", results.step)),
            ("wall time", format_duration(results.seconds)),
            ("device", results.device.clone()),
            ("simd", results.simd.clone()),
            ("parameters", format!("{parameters:.2} million")),
            ("validation", format!("{} examples", results.examples)),
            ("skipped steps", results.skipped_steps.to_string()),
            ("seed", config.seed.to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec()
    }

    fn metrics(&self) -> Table {
        let rows = self.results.rows().map(|(name, initial, trained)| {
            let (initial, trained) = (format_metric(initial), format_metric(trained));
            Row::from(vec![name.into(), initial, trained])
        });
        Table {
            columns: ["metric", "initial", "trained"].map(String::from).to_vec(),
            rows: rows.collect(),
        }
    }

    /// The loss curves, from the run's log.
    fn curves(&self) -> Result<Vec<Curve>, VlpError> {
        let records = read_records(&self.folder.metrics())?;
        let mut names: Vec<&str> = vec![];
        for (_, record) in &records {
            for name in record.keys().filter_map(|key| loss_name(key)) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        let curves = names.into_iter().map(|name| {
            let key = loss_key(name);
            let points = records.iter().filter_map(|(step, record)| {
                let value = record.get(&key)?.as_f64().unwrap_or(f64::NAN);
                Some((*step as f64, value))
            });
            Curve {
                name: name.into(),
                unit: String::new(),
                points: points.collect(),
            }
        });
        // Terms that were always zero (attributes, if none are annotated) are omitted.
        let is_zero = |curve: &Curve| curve.points.iter().all(|(_, value)| *value == 0.0);
        Ok(curves.filter(|curve| !is_zero(curve)).collect())
    }

    fn detection(&self) -> Option<&Detection> {
        self.model.objectives.member()
    }

    fn captioning(&self) -> Option<&Captioning> {
        self.model.objectives.member()
    }

    fn image_card(
        &self,
        output: &EncoderOutput<'_>,
        example: &Example,
    ) -> Result<ImageCard, ObjectiveError> {
        let labels = &self.data.label_spaces[example.label_space];
        let objects = example.objects.iter().flatten();
        let mut boxes: Vec<DrawnBox> = objects
            .map(|object| annotated_box(object, labels))
            .collect();
        if let Some(detection) = self.detection() {
            boxes.extend(self.detected_boxes(detection, output, example)?);
        }
        let mut captions = vec![];
        if let (Some(caption), Some(config)) = (self.captioning(), &self.config.objectives.caption)
        {
            let special = self.data.tokenizer.special_tokens();
            let bos_eos = (special.cls, special.sep);
            for generated in caption.generate(output, config, bos_eos, &[example.key])? {
                let text = self.data.tokenizer.decode(&generated.ids);
                captions.push((text, example.captions.join("  ·  ")));
            }
        }
        Ok(ImageCard {
            title: example.name.clone(),
            width: example.image.width as u32,
            height: example.image.height as u32,
            rgb: example.image.rgb.clone(),
            boxes,
            captions,
        })
    }

    fn detected_boxes(
        &self,
        detection: &Detection,
        output: &EncoderOutput<'_>,
        example: &Example,
    ) -> Result<Vec<DrawnBox>, ObjectiveError> {
        let labels = &self.data.label_spaces[example.label_space];
        let (width, height) = (example.width as f32, example.height as f32);
        let annotated = example.objects.iter().flatten();
        let attributes_shown = annotated.map(|object| object.attributes.len()).max();
        let decoder = output.parts.decoder(Detection::NAME)?;
        // As the head was trained (`from_joint`): the joint pass has the text too.
        let memory = match detection.passes() {
            EncoderPasses::JOINT => &output.joint().image,
            _ => output.image(),
        };
        let detections = detection.detect(memory, decoder, example.label_space).pop();
        let detections = detections.unwrap_or_default();
        let boxes = detections
            .into_iter()
            .filter(|object| object.score >= MIN_SCORE)
            .map(|object| {
                let [x0, y0, x1, y1] = corners(object.bbox);
                let top = top_indices(&object.attributes, attributes_shown.unwrap_or(0));
                let attributes = top.into_iter();
                let attributes = attributes.map(|index| name_or_index(&labels.attributes, index));
                DrawnBox {
                    x0: x0.min(x1) * width,
                    y0: y0.min(y1) * height,
                    x1: x1.max(x0) * width,
                    y1: y1.max(y0) * height,
                    label: name_or_index(&labels.classes, object.class),
                    score: Some(object.score),
                    kind: BoxKind::Predicted,
                    detail: attributes.collect::<Vec<_>>().join(", "),
                }
            });
        Ok(boxes.collect())
    }

    /// A text with predictions of its masked tokens; `None` if none is masked.
    fn masked_text(
        &self,
        mlm: &Mlm,
        output: &EncoderOutput<'_>,
        ids: &[u32],
        target: &MlmTarget,
        image: usize,
    ) -> Option<MaskedText> {
        if target.masked.is_empty() {
            return None;
        }
        let predictions = mlm.predict(output, &[target], MLM_CANDIDATES);
        let predictions = predictions.into_iter().next().unwrap_or_default();
        let tokenizer = &self.data.tokenizer;
        let token = |id: u32| tokenizer.token(id).unwrap_or("?").to_string();
        let special = tokenizer.special_tokens();
        let words = ids.iter().enumerate().filter_map(|(position, &id)| {
            let mut masked = target.masked.iter().zip(&predictions);
            let prediction = masked.find(|((masked, _), _)| *masked == position);
            let prediction = prediction.map(|((_, original), candidates)| WordPrediction {
                target: token(*original),
                candidates: candidates.iter().map(|&(id, p)| (token(id), p)).collect(),
            });
            let is_hidden =
                prediction.is_none() && [special.cls, special.sep, special.pad].contains(&id);
            (!is_hidden).then(|| MaskedWord {
                text: token(id),
                prediction,
            })
        });
        Some(MaskedText {
            image: Some(image),
            words: words.collect(),
        })
    }
}
