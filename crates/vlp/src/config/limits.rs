//! Upper bounds of sizes. Allocating memory for larger ones would likely fail, and a failed allocation aborts the process
//! without naming the key.

use vlp_data::ResizeRule;

use super::RunConfig;
use super::validate::{at_most, fail};
use crate::error::VlpError;

/// Maximum width of tokens and embeddings.
const MAX_WIDTH: usize = 16_384;
/// Maximum number of layers of an encoder or decoder.
const MAX_LAYERS: usize = 1000;
/// Maximum number of position embeddings, and of codes.
const MAX_ROWS: usize = 65_536;
/// Maximum number of parameters of encoder, decoders and embeddings. With gradients and AdamW's moments they take 64 GB.
const MAX_PARAMETERS: f64 = 4e9;
/// Maximum size of the images of a batch in bytes, three channels of 32-bit numbers.
const MAX_PIXEL_BYTES: f64 = 8e9;

impl RunConfig {
    /// Checks the sizes that determine how much memory is allocated.
    ///
    /// # Errors
    /// [`VlpError::Config`] with key, value and the maximum.
    pub(crate) fn check_sizes(&self) -> Result<(), VlpError> {
        let (model, objectives) = (&self.model, &self.objectives);
        let [encoder_layers, decoder_layers, caption_layers] = model.layers();
        let codes = model.quantizer().map_or(0, |q| q.dictionary.codes);
        let detection = objectives.detection.as_ref();
        let caption = objectives.caption.as_ref();
        let self_critical = caption.and_then(|caption| caption.self_critical.as_ref());
        for (key, value, maximum) in [
            ("model.backbone.width", model.backbone().width, 512),
            ("model.d_model", model.d_model(), MAX_WIDTH),
            ("model.d_ff", model.d_ff(), 4 * MAX_WIDTH),
            ("model.encoder_layers", encoder_layers, MAX_LAYERS),
            ("model.decoder_layers", decoder_layers, MAX_LAYERS),
            ("model.caption_layers", caption_layers, MAX_LAYERS),
            ("model.max_positions", model.max_positions(), MAX_ROWS),
            ("model.quantizer.dictionary.codes", codes, MAX_ROWS),
            (
                "objectives.detection.num_queries",
                detection.map_or(0, |detection| detection.num_queries),
                10_000,
            ),
            (
                "objectives.caption.num_beams",
                caption.map_or(0, |caption| caption.num_beams),
                1000,
            ),
            (
                "objectives.caption.self_critical.samples",
                self_critical.map_or(0, |self_critical| self_critical.samples),
                1000,
            ),
            (
                "objectives.itc.dim",
                objectives.itc.as_ref().map_or(0, |itc| itc.dim),
                MAX_WIDTH,
            ),
            ("data.batch_size", self.data.batch_size, 65_536),
            ("data.workers", self.data.workers, 1024),
            ("train.accumulate", self.train.accumulate, 65_536),
            ("eval.examples", self.eval.examples, 100_000_000),
            ("eval.images", self.eval.images, 10_000),
            ("eval.retrieval", self.eval.retrieval, 100_000),
            ("eval.retrieval_texts", self.eval.retrieval_texts, 1000),
        ] {
            at_most(key, value, maximum)?;
        }
        let parameters = self.parameters();
        if parameters > MAX_PARAMETERS {
            let (d_ff, billions) = (model.d_ff(), parameters / 1e9);
            let hint = format!(
                "with model.d_ff = {d_ff} and these layers and embeddings the model has {billions:.1} billion parameters; use at most {} billion",
                MAX_PARAMETERS / 1e9
            );
            return fail("model.d_model", model.d_model(), &hint);
        }
        self.check_pixels()
    }

    /// Number of parameters in the layers of encoder and decoders, the position embeddings and the codebook.
    fn parameters(&self) -> f64 {
        let model = &self.model;
        let [encoder_layers, decoder_layers, caption_layers] = model.layers();
        let codes = model.quantizer().map_or(0, |q| q.dictionary.codes);
        let (width, d_ff) = (model.d_model() as f64, model.d_ff() as f64);
        let feed_forward = 2.0 * width * d_ff;
        let encoder = encoder_layers as f64 * (4.0 * width * width + feed_forward);
        let decoder_layers = (decoder_layers + caption_layers) as f64;
        let decoder = decoder_layers * (8.0 * width * width + feed_forward);
        encoder + decoder + (model.max_positions() + codes) as f64 * width
    }

    /// Checks the size of the largest batch of images.
    fn check_pixels(&self) -> Result<(), VlpError> {
        let data = &self.data;
        for rule in [Some(&data.resize), data.eval_resize.as_ref()] {
            let sides = match rule {
                Some(ResizeRule::Detr { max, .. } | ResizeRule::Soho { max, .. }) => [*max; 2],
                Some(ResizeRule::Square { side } | ResizeRule::Within { side }) => [*side; 2],
                Some(ResizeRule::Exact { width, height }) => [*width, *height],
                Some(ResizeRule::Keep) | None => [1; 2],
            };
            let multiple = data.pad_multiple.max(1) as f64;
            let [width, height] = sides.map(|side| (side as f64 / multiple).ceil() * multiple);
            let bytes = data.batch_size as f64 * width * height * 12.0;
            if bytes > MAX_PIXEL_BYTES {
                let hint = format!(
                    "a batch of images of {width}x{height} pixels (data.resize, data.pad_multiple) has {:.1} GB; use at most {} GB",
                    bytes / 1e9,
                    MAX_PIXEL_BYTES / 1e9
                );
                return fail("data.batch_size", data.batch_size, &hint);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use burn::prelude::Device;
    use vlp_text::WordPieceTokenizer;

    use crate::config::{Sources, resolve};
    use crate::data::Vocabulary;
    use crate::model::AnyModel;

    #[test]
    fn weights_of_layers_and_tables_are_counted() {
        for (preset, set) in [
            ("e2e-vlp-tiny", "model.caption_layers=1"),
            ("soho-tiny", "model.decoder_layers=2"),
        ] {
            let sources = Sources {
                preset: Some(preset.into()),
                set: vec![set.into()],
                ..Sources::default()
            };
            let config = resolve(&sources).unwrap();
            let tokenizer = WordPieceTokenizer::scenes();
            let vocabulary = Vocabulary {
                label_spaces: vec![vlp_data::LabelSpace::default()],
                answers: vec![],
                tokenizer_sha256: tokenizer.sha256(),
            };
            let device = Device::default();
            let model = AnyModel::new(&config, &vocabulary, &tokenizer, &device).unwrap();
            let tables = [
                "model.encoder.",
                "model.decoder.",
                "model.caption_decoder.",
                "model.words.position.",
                "model.quantizer.dictionary.running_codes",
            ];
            let params = model.params();
            let counted = params.iter().filter(|(path, data)| {
                data.shape().rank() == 2 && tables.iter().any(|table| path.starts_with(table))
            });
            let count: usize = counted.map(|(_, data)| data.num_elements()).sum();
            assert_eq!(config.parameters(), count as f64, "{:?}", params.keys());
        }
    }
}
