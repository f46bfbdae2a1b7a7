//! Predictions of all heads for encoded images.

use super::attention_map::QueryWeights;
use super::captions::CaptionOptions;
use super::encoded::{EncodedImages, JointText};
use super::prediction::{Prediction, Request};
use crate::error::VlpError;

/// Answers to a question.
const TOP: usize = 5;

/// Reads the heads for a batch of images, each with all questions and texts.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) encoded: &'a EncodedImages<'a>,
    pub(super) request: &'a Request,
}

impl Reader<'_> {
    /// The predictions for all images; `texts` are the questions, then the texts to match, and `joint_texts` those of all
    /// images.
    pub(super) fn read(
        &self,
        texts: &[String],
        joint_texts: &[JointText],
    ) -> Result<Vec<Prediction>, VlpError> {
        let mut predictions = vec![Prediction::default(); self.encoded.images.len()];
        self.objects(&mut predictions)?;
        self.captions(&mut predictions)?;
        self.answers(texts.len(), &mut predictions);
        self.matches(texts.len(), &mut predictions);
        self.text_attention_maps(texts, joint_texts, &mut predictions);
        Ok(predictions)
    }

    fn objects(&self, predictions: &mut [Prediction]) -> Result<(), VlpError> {
        let Some(objects) = self.encoded.objects(self.request.threshold)? else {
            return Ok(());
        };
        let attention = match self.request.attention {
            true => self.encoded.query_attention()?,
            false => None,
        };
        for (image, (prediction, objects)) in predictions.iter_mut().zip(objects).enumerate() {
            if let Some(attention) = &attention {
                let grid = self.encoded.grid(self.encoded.output.image(), image);
                let weights = QueryWeights::read(attention, image);
                let maps = grid.object_maps(&objects, &weights);
                prediction.attention_maps.extend(maps);
            }
            prediction.objects = Some(objects);
        }
        Ok(())
    }

    fn captions(&self, predictions: &mut [Prediction]) -> Result<(), VlpError> {
        let trained = self.encoded.trained;
        let tokenizer = &trained.tokenizer;
        let config = trained.config.objectives.caption.as_ref();
        let Some(config) = self.request.caption.as_ref().or(config) else {
            return Ok(());
        };
        let options = CaptionOptions {
            config: config.clone(),
            count: 1,
            seed: self.request.seed,
        };
        let Some(captions) = self.encoded.generate(&options)? else {
            return Ok(());
        };
        let captions = captions.into_iter();
        let captions: Vec<_> = captions.filter_map(|all| all.into_iter().next()).collect();
        // With the start token, as the decoder reads them.
        let inputs = captions.iter().map(|caption| {
            let start = std::iter::once(tokenizer.special_tokens().cls);
            start.chain(caption.ids.iter().copied()).collect()
        });
        let inputs: Vec<Vec<u32>> = inputs.collect();
        let attention = match self.request.attention {
            true => {
                let images: Vec<usize> = (0..inputs.len()).collect();
                self.encoded.caption_attention(&inputs, &images)?
            }
            false => None,
        };
        for (image, (prediction, caption)) in predictions.iter_mut().zip(captions).enumerate() {
            if let Some(attention) = &attention {
                let grid = self.encoded.grid(self.encoded.output.image(), image);
                let weights = QueryWeights::read(attention, image);
                // A token is predicted at the position before it.
                let maps = grid.word_maps("caption", &inputs[image], 1, &weights, tokenizer);
                prediction.attention_maps.extend(maps);
            }
            prediction.caption = Some(self.encoded.caption(&caption));
        }
        Ok(())
    }

    fn answers(&self, texts: usize, predictions: &mut [Prediction]) {
        let questions = self.request.questions.len();
        if questions == 0 {
            return;
        }
        let rows = self.encoded.answers(TOP);
        for (prediction, rows) in predictions.iter_mut().zip(rows.chunks(texts)) {
            prediction.answers = Some(rows[..questions].to_vec());
        }
    }

    fn matches(&self, texts: usize, predictions: &mut [Prediction]) {
        if self.request.texts.is_empty() {
            return;
        }
        let probabilities = self.encoded.match_probabilities();
        let rows = probabilities.chunks(texts);
        for (prediction, row) in predictions.iter_mut().zip(rows) {
            prediction.matches = Some(row[self.request.questions.len()..].to_vec());
        }
    }

    /// Attention maps of the words of questions and texts in the joint pass.
    fn text_attention_maps(
        &self,
        texts: &[String],
        joint_texts: &[JointText],
        predictions: &mut [Prediction],
    ) {
        let Some(attention) = &self.encoded.text_attention else {
            return;
        };
        let memory = &self.encoded.output.joint().image;
        let tokenizer = &self.encoded.trained.tokenizer;
        for (row, (text, source)) in joint_texts.iter().zip(texts.iter().cycle()).enumerate() {
            let weights = QueryWeights::read(attention, row);
            let grid = self.encoded.grid(memory, row);
            let maps = grid.word_maps(source, &text.ids, 0, &weights, tokenizer);
            predictions[text.image].attention_maps.extend(maps);
        }
    }
}
