//! What the embeddings of a model depend on, as one hash.

use toml::{Table, Value};
use vlp_train::atomic_file::sha256_hex;

use super::trained::TrainedModel;
use crate::error::VlpError;

/// Keys of `data` by which images and texts reach the model.
const INPUT_KEYS: [&str; 4] = ["resize", "eval_resize", "pad_multiple", "max_text_len"];

impl TrainedModel {
    /// SHA-256 of the weights, of the model's configuration, and of the settings by which it reads images and texts: equal for
    /// two models that give the same outputs, also if one of them was exported.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the configuration cannot be written as TOML.
    pub fn fingerprint(&self) -> Result<String, VlpError> {
        let invalid = |error: toml::ser::Error| VlpError::Config(error.to_string());
        // Recomputation changes no output.
        let model = self.config.model.clone().without_recompute();
        let data = Table::try_from(&self.config.data).map_err(invalid)?;
        let inputs = INPUT_KEYS.into_iter().filter_map(|key| {
            let value = data.get(key)?;
            Some((key.to_owned(), value.clone()))
        });
        let mut settings = Table::new();
        settings.insert("data".into(), Value::Table(inputs.collect()));
        let model = Value::try_from(&model).map_err(invalid)?;
        settings.insert("model".into(), model);
        let mut text = toml::to_string(&settings).map_err(invalid)?;
        text += &self.vocabulary.tokenizer_sha256;
        for (path, data) in self.model().params() {
            let values = data.iter::<f32>().flat_map(f32::to_le_bytes);
            let hash = sha256_hex(&values.collect::<Vec<u8>>());
            text += &format!("\n{path} {:?} {hash}", data.shape());
        }
        Ok(sha256_hex(text.as_bytes()))
    }
}
