//! Attention over images, of object queries and of words.

use vlp_data::ResizedImage;
use vlp_objectives::EncoderPasses;

use super::attention_map::{AttentionMap, ImageGrid, QueryWeights};
use super::encoded::{EncodedImages, JointText};
use super::objects::missing_detection;
use super::predictor::{Predictor, missing_head};
use crate::error::VlpError;

/// The object queries and texts whose attention is requested.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttentionRequest<'a> {
    /// Object queries of the detection decoder.
    pub queries: &'a [usize],
    /// Captions, read by the caption decoder as if it had generated them.
    pub captions: &'a [String],
    /// Texts or questions, read by the encoder with the image.
    pub texts: &'a [String],
}

/// Attention over an image: the mean over the heads of the last layer.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ImageAttention {
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// For each query, `rows * columns` weights, row-major.
    pub queries: Vec<Vec<f32>>,
    /// For each caption, the maps of its words.
    pub captions: Vec<Vec<AttentionMap>>,
    /// For each text, the maps of its words.
    pub texts: Vec<Vec<AttentionMap>>,
}

impl Predictor {
    /// Attention over each image. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] for queries or captions of a run without their head, [`VlpError::Objective`] for images too
    /// small for the model.
    pub fn attention_batch(
        &self,
        requests: &[(&ResizedImage, AttentionRequest<'_>)],
    ) -> Result<Vec<ImageAttention>, VlpError> {
        let images: Vec<&ResizedImage> = requests.iter().map(|(image, _)| *image).collect();
        let requests: Vec<AttentionRequest<'_>> =
            requests.iter().map(|(_, request)| *request).collect();
        let texts = self.joint_texts(requests.iter().map(|request| request.texts));
        let reads_images = requests
            .iter()
            .any(|request| !request.queries.is_empty() || !request.captions.is_empty());
        let mut passes = EncoderPasses::NONE;
        if reads_images || texts.is_empty() {
            passes = passes.union(EncoderPasses::IMAGE);
        }
        if !texts.is_empty() {
            passes = passes.union(EncoderPasses::JOINT);
        }
        let encoded = self.encode(&images, &texts, passes, !texts.is_empty())?;
        let mut attention = vec![ImageAttention::default(); images.len()];
        if passes.contains(EncoderPasses::IMAGE) {
            for (image, attention) in attention.iter_mut().enumerate() {
                let grid = encoded.grid(encoded.output.image(), image);
                [attention.rows, attention.columns] = grid.shape();
            }
        }
        encoded.queries(&requests, &mut attention)?;
        self.captions(&encoded, &requests, &mut attention)?;
        encoded.texts(&texts, &requests, &mut attention);
        Ok(attention)
    }

    fn captions(
        &self,
        encoded: &EncodedImages<'_>,
        requests: &[AttentionRequest<'_>],
        attention: &mut [ImageAttention],
    ) -> Result<(), VlpError> {
        let config = &self.trained().config;
        let caption = config.objectives.caption.as_ref();
        // Generated captions may be longer than the texts of the data; `[CLS]` and `[SEP]` are not generated.
        let longest = caption.map_or(0, |caption| caption.max_new_tokens + 2);
        let longest = longest.min(config.model.max_positions());
        let (mut ids, mut images, mut sources) = (vec![], vec![], vec![]);
        for (image, request) in requests.iter().enumerate() {
            for caption in request.captions {
                ids.push(self.trained().tokenizer.encode(caption, longest).ids);
                images.push(image);
                sources.push(caption);
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let weights = encoded.caption_attention(&ids, &images)?;
        let weights = weights.ok_or_else(|| missing_head("objectives.caption"))?;
        for (row, ((ids, image), source)) in ids.iter().zip(images).zip(sources).enumerate() {
            let grid = encoded.grid(encoded.output.image(), image);
            let weights = QueryWeights::read(&weights, row);
            // A token is predicted at the position before it.
            let maps = grid.word_maps(source, ids, 1, &weights, &self.trained().tokenizer);
            attention[image].captions.push(maps);
        }
        Ok(())
    }
}

impl EncodedImages<'_> {
    fn queries(
        &self,
        requests: &[AttentionRequest<'_>],
        attention: &mut [ImageAttention],
    ) -> Result<(), VlpError> {
        if requests.iter().all(|request| request.queries.is_empty()) {
            return Ok(());
        }
        let weights = self.query_attention()?;
        let weights = weights.ok_or_else(missing_detection)?;
        for (image, (request, attention)) in requests.iter().zip(attention).enumerate() {
            let grid = self.grid(self.output.image(), image);
            let weights = QueryWeights::read(&weights, image);
            let queries = request.queries.iter();
            attention.queries = queries
                .map(|&query| grid.cells(weights.row(query)))
                .collect();
        }
        Ok(())
    }

    fn texts(
        &self,
        texts: &[JointText],
        requests: &[AttentionRequest<'_>],
        attention: &mut [ImageAttention],
    ) {
        let Some(weights) = &self.text_attention else {
            return;
        };
        let memory = &self.output.joint().image;
        let sources = requests.iter().flat_map(|request| request.texts);
        for (row, (text, source)) in texts.iter().zip(sources).enumerate() {
            let grid: ImageGrid = self.grid(memory, row);
            let weights = QueryWeights::read(weights, row);
            let tokenizer = &self.trained.tokenizer;
            let maps = grid.word_maps(source, &text.ids, 0, &weights, tokenizer);
            let attention = &mut attention[text.image];
            [attention.rows, attention.columns] = grid.shape();
            attention.texts.push(maps);
        }
    }
}
