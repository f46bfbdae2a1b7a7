//! What the heads of a model say of encoded pictures.

use burn::tensor::activation::softmax;
use rand::RngExt;
use vlp_data::Picture;
use vlp_objectives::Encoded;
use vlp_objectives::detection::Found;
use vlp_objectives::detection::boxes::corners;
use vlp_transformer::{Memory, TextBatch};

use super::look::{Cells, Host};
use super::{Caption, Object, Prediction, Request, Vlp};
use crate::error::VlpError;

/// Attributes named of an object, and answers of a question.
const NAMED: usize = 5;

/// Reads the heads of a batch of pictures.
pub(super) struct Reader<'a> {
    pub(super) model: &'a Vlp,
    pub(super) encoded: &'a Encoded<'a>,
    pub(super) pictures: &'a [Picture],
    pub(super) request: &'a Request,
}

/// Which cells beside a row of a memory are padding.
pub(super) fn hidden(memory: &Memory, row: usize) -> Vec<bool> {
    let own = memory.pad_mask.clone().int().narrow(0, row, 1);
    own.into_data().iter::<i64>().map(|h| h != 0).collect()
}

impl Reader<'_> {
    pub(super) fn read(&self) -> Result<Vec<Prediction>, VlpError> {
        let mut all = vec![Prediction::default(); self.pictures.len()];
        self.objects(&mut all)?;
        self.captions(&mut all)?;
        self.texts(&mut all)?;
        Ok(all)
    }

    fn cells(&self, memory: &Memory, row: usize) -> Cells {
        Cells::new(&hidden(memory, row), self.encoded.grid[1])
    }

    fn objects(&self, all: &mut [Prediction]) -> Result<(), VlpError> {
        let trained = &self.model.trained;
        let config = trained.config.objectives.detection.as_ref();
        let head = trained.system().objectives().detection.as_ref();
        let (Some(head), false) = (head, config.is_some_and(|d| d.from_joint)) else {
            return Ok(());
        };
        let found = head.detect(self.encoded, 0)?;
        let wanted = self.request.attention;
        let weights = wanted.then(|| head.attention(self.encoded)).transpose()?;
        for (image, (prediction, found)) in all.iter_mut().zip(found).enumerate() {
            let threshold = self.request.threshold;
            let kept: Vec<Found> = found.into_iter().filter(|f| f.score >= threshold).collect();
            let objects = kept.iter().map(|f| self.object(f, &self.pictures[image]));
            let objects: Vec<Object> = objects.collect();
            if let Some(weights) = &weights {
                let cells = self.cells(self.encoded.image("detection")?, image);
                let named: Vec<(String, usize)> = objects
                    .iter()
                    .zip(&kept)
                    .map(|(object, found)| (object.class.clone(), found.query))
                    .collect();
                let looks = cells.looks(&named, &Host::of(weights, image));
                prediction.looks.extend(looks);
            }
            prediction.objects = Some(objects);
        }
        Ok(())
    }

    fn captions(&self, all: &mut [Prediction]) -> Result<(), VlpError> {
        let trained = &self.model.trained;
        let head = trained.system().objectives().caption.as_ref();
        let config = trained.config.objectives.caption.as_ref();
        let config = self.request.caption.as_ref().or(config);
        let (Some(head), Some(config)) = (head, config) else {
            return Ok(());
        };
        let special = trained.pieces.special();
        let draw = |picture: &Picture| {
            let mut own = vlp_data::rng(self.request.seed, 0, picture.key(), "caption");
            own.random()
        };
        let seeds: Vec<u64> = self.pictures.iter().map(draw).collect();
        let written = head.write(self.encoded, config, (special.cls, special.sep), &seeds)?;
        let texts: Vec<Vec<u32>> = written
            .iter()
            .map(|found| {
                std::iter::once(special.cls)
                    .chain(found.ids.iter().copied())
                    .collect()
            })
            .collect();
        let weights = match self.request.attention {
            true => {
                let rows: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
                let text = TextBatch::pack(&rows, special.pad, &trained.device);
                Some(head.attention(self.encoded, &text)?)
            }
            false => None,
        };
        for (image, (prediction, found)) in all.iter_mut().zip(written).enumerate() {
            if let Some(weights) = &weights {
                let cells = self.cells(self.encoded.image("caption")?, image);
                // What the decoder looks at before it writes a word stands at the place before it.
                let host = Host::of(weights, image);
                let looks = cells.words("caption", &texts[image], 1, &host, &trained.pieces);
                prediction.looks.extend(looks);
            }
            prediction.caption = Some(Caption {
                text: trained.pieces.decode(&found.ids),
                log_probability: found.score,
            });
        }
        Ok(())
    }

    fn texts(&self, all: &mut [Prediction]) -> Result<(), VlpError> {
        let heads = self.model.trained.system().objectives();
        let (asked, matched) = (self.request.ask.len(), self.request.texts.len());
        if let (Some(vqa), 1..) = (&heads.vqa, asked) {
            let rows = vqa.answer(self.encoded)?;
            for (prediction, rows) in all.iter_mut().zip(rows.chunks(asked + matched)) {
                let answers = rows[..asked].iter().map(|p| self.answers(p));
                prediction.answers = Some(answers.collect());
            }
        }
        if let (Some(itm), 1..) = (&heads.itm, matched) {
            let shares = softmax(itm.logits(self.encoded)?, 1);
            let shares: Vec<f32> = shares.narrow(1, 1, 1).into_data().iter().collect();
            for (prediction, rows) in all.iter_mut().zip(shares.chunks(asked + matched)) {
                prediction.matches = Some(rows[asked..].to_vec());
            }
        }
        Ok(())
    }

    fn object(&self, found: &Found, picture: &Picture) -> Object {
        let labels = &self.model.trained.vocabulary.labels;
        let name = |names: &[String], i: usize| names.get(i).cloned().unwrap_or(i.to_string());
        let mut order: Vec<usize> = (0..found.attributes.len()).collect();
        order.sort_by(|&a, &b| found.attributes[b].total_cmp(&found.attributes[a]));
        let attributes = order.into_iter().take(NAMED);
        let [x0, y0, x1, y1] = corners(found.bbox);
        let (w, h) = (picture.width as f32, picture.height as f32);
        Object {
            class: name(&labels.classes, found.class),
            score: found.score,
            bbox: [x0 * w, y0 * h, x1 * w, y1 * h],
            attributes: attributes
                .map(|i| (name(&labels.attributes, i), found.attributes[i]))
                .collect(),
        }
    }

    fn answers(&self, probabilities: &[f32]) -> Vec<(String, f32)> {
        let names = &self.model.trained.vocabulary.answers;
        let mut order: Vec<usize> = (0..probabilities.len().min(names.len())).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let best = order.into_iter().take(NAMED);
        best.map(|i| (names[i].clone(), probabilities[i])).collect()
    }
}
