//! Predictions of a model's heads for encoded images.

use burn::prelude::*;
use burn::tensor::activation::softmax;
use rand::RngExt;
use vlp_data::Image;
use vlp_objectives::detection::DetectedObject;
use vlp_objectives::detection::boxes::corners;
use vlp_objectives::{Detection, EncoderOutput, Objective};
use vlp_transformer::{Memory, TextBatch};

use super::attention_map::{ImageGrid, QueryWeights};
use super::prediction::{Caption, Object, Prediction, Request};
use crate::error::VlpError;
use crate::report::{name_or_index, top_indices};
use crate::run::TrainedModel;

/// Attributes returned of an object, and answers to a question.
const TOP: usize = 5;

/// Reads the heads for a batch of images.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) trained: &'a TrainedModel,
    pub(super) output: &'a EncoderOutput<'a>,
    /// Attention weights of the joint pass, `[texts, length, image tokens]`, if requested.
    pub(super) text_attention: Option<Tensor<3>>,
    /// The original images.
    pub(super) images: &'a [Image],
    pub(super) request: &'a Request,
}

impl Reader<'_> {
    /// The predictions for all images; `texts` are the questions, then the texts to match, and `ids` their tokens.
    pub(super) fn read(
        &self,
        texts: &[&str],
        ids: &[Vec<u32>],
    ) -> Result<Vec<Prediction>, VlpError> {
        let mut predictions = vec![Prediction::default(); self.images.len()];
        self.objects(&mut predictions)?;
        self.captions(&mut predictions)?;
        self.answers(&mut predictions);
        self.matches(&mut predictions);
        self.text_attention_maps(texts, ids, &mut predictions);
        Ok(predictions)
    }

    /// The grid that a batch row of a memory covers.
    fn grid(&self, memory: &Memory, row: usize) -> ImageGrid {
        let padding = memory.pad_mask.clone().int().narrow(0, row, 1).into_data();
        let padding: Vec<bool> = padding.iter::<i64>().map(|value| value != 0).collect();
        ImageGrid::new(&padding, self.output.grid[1])
    }

    fn objects(&self, predictions: &mut [Prediction]) -> Result<(), VlpError> {
        let trained = self.trained;
        let config = trained.config.objectives.detection.as_ref();
        let head = trained.model().objectives().detection.as_ref();
        let (Some(head), false) = (head, config.is_some_and(|config| config.from_joint)) else {
            return Ok(());
        };
        let (memory, decoder) = (
            self.output.image(),
            self.output.parts.decoder(Detection::NAME)?,
        );
        let detections = head.detect(memory, decoder, 0);
        let attention = self.request.attention;
        let attention = attention.then(|| head.attention_weights(memory, decoder));
        for (image, (prediction, mut detections)) in
            predictions.iter_mut().zip(detections).enumerate()
        {
            detections.retain(|detection| detection.score >= self.request.threshold);
            let objects = detections.iter();
            let objects = objects.map(|detection| self.object(detection, &self.images[image]));
            let objects: Vec<Object> = objects.collect();
            if let Some(attention) = &attention {
                let grid = self.grid(memory, image);
                let queries = objects.iter().zip(&detections);
                let queries: Vec<(String, usize)> = queries
                    .map(|(object, detection)| (object.class.clone(), detection.query))
                    .collect();
                let weights = QueryWeights::read(attention, image);
                let maps = grid.object_maps(&queries, &weights);
                prediction.attention_maps.extend(maps);
            }
            prediction.objects = Some(objects);
        }
        Ok(())
    }

    fn object(&self, detection: &DetectedObject, image: &Image) -> Object {
        let labels = &self.trained.vocabulary.labels;
        let [x0, y0, x1, y1] = corners(detection.bbox);
        let (width, height) = (image.width as f32, image.height as f32);
        let attributes = top_indices(&detection.attributes, TOP).into_iter();
        let attributes = attributes.map(|index| {
            let name = name_or_index(&labels.attributes, index);
            (name, detection.attributes[index])
        });
        Object {
            class: name_or_index(&labels.classes, detection.class),
            score: detection.score,
            bbox: [x0 * width, y0 * height, x1 * width, y1 * height],
            attributes: attributes.collect(),
        }
    }

    fn captions(&self, predictions: &mut [Prediction]) -> Result<(), VlpError> {
        let trained = self.trained;
        let tokenizer = &trained.tokenizer;
        let head = trained.model().objectives().caption.as_ref();
        let config = trained.config.objectives.caption.as_ref();
        let config = self.request.caption.as_ref().or(config);
        let (Some(head), Some(config)) = (head, config) else {
            return Ok(());
        };
        let special = tokenizer.special_tokens();
        let seeds = self.images.iter().map(|image| {
            let mut rng = vlp_data::rng(self.request.seed, 0, image.key(), "caption");
            rng.random()
        });
        let seeds: Vec<u64> = seeds.collect();
        let captions = head.generate(self.output, config, (special.cls, special.sep), &seeds)?;
        // With the start token, as the decoder reads them.
        let inputs = captions.iter().map(|caption| {
            let start = std::iter::once(special.cls);
            start.chain(caption.ids.iter().copied()).collect()
        });
        let inputs: Vec<Vec<u32>> = inputs.collect();
        let attention = match self.request.attention {
            true => {
                let rows: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
                let text = TextBatch::collate(&rows, special.pad, &trained.device);
                Some(head.head(self.output)?.attention_weights(&text))
            }
            false => None,
        };
        for (image, (prediction, caption)) in predictions.iter_mut().zip(captions).enumerate() {
            if let Some(attention) = &attention {
                let grid = self.grid(self.output.image(), image);
                let weights = QueryWeights::read(attention, image);
                // A token is predicted at the position before it.
                let maps = grid.word_maps("caption", &inputs[image], 1, &weights, tokenizer);
                prediction.attention_maps.extend(maps);
            }
            prediction.caption = Some(Caption {
                text: tokenizer.decode(&caption.ids),
                log_probability: caption.score,
            });
        }
        Ok(())
    }

    fn answers(&self, predictions: &mut [Prediction]) {
        let head = self.trained.model().objectives().vqa.as_ref();
        let questions = self.request.questions.len();
        let (Some(head), 1..) = (head, questions) else {
            return;
        };
        let names = &self.trained.vocabulary.answers;
        let rows = head.answer_probabilities(self.output.joint().text.cls());
        let texts = questions + self.request.texts.len();
        for (prediction, rows) in predictions.iter_mut().zip(rows.chunks(texts)) {
            let answers = rows[..questions].iter().map(|probabilities| {
                let top = top_indices(probabilities, TOP).into_iter();
                top.map(|index| (name_or_index(names, index), probabilities[index]))
                    .collect()
            });
            prediction.answers = Some(answers.collect());
        }
    }

    fn matches(&self, predictions: &mut [Prediction]) {
        let head = self.trained.model().objectives().itm.as_ref();
        let (questions, texts) = (self.request.questions.len(), self.request.texts.len());
        let (Some(head), 1..) = (head, texts) else {
            return;
        };
        let probabilities = softmax(head.logits(self.output.joint().text.cls()), 1).narrow(1, 1, 1);
        let probabilities: Vec<f32> = probabilities.into_data().iter().collect();
        let rows = probabilities.chunks(questions + texts);
        for (prediction, row) in predictions.iter_mut().zip(rows) {
            prediction.matches = Some(row[questions..].to_vec());
        }
    }

    /// Attention maps of the words of questions and texts in the joint pass.
    fn text_attention_maps(
        &self,
        texts: &[&str],
        ids: &[Vec<u32>],
        predictions: &mut [Prediction],
    ) {
        let Some(attention) = &self.text_attention else {
            return;
        };
        let memory = &self.output.joint().image;
        for (image, prediction) in predictions.iter_mut().enumerate() {
            for (number, (text, ids)) in texts.iter().zip(ids).enumerate() {
                let row = image * texts.len() + number;
                let weights = QueryWeights::read(attention, row);
                let grid = self.grid(memory, row);
                let maps = grid.word_maps(text, ids, 0, &weights, &self.trained.tokenizer);
                prediction.attention_maps.extend(maps);
            }
        }
    }
}
