//! Reading a model from a folder in Hugging Face's layout: `config.json`, `model.safetensors`, `tokenizer.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use vlp_weights::WeightsFile;

use super::folder::RunFolder;
use crate::config::RunConfig;
use crate::data::{Vocabulary, is_tokenizer_file};
use crate::error::VlpError;

/// Contents of `config.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HfConfig {
    /// `vlp-e2e-vlp` or `vlp-soho`.
    pub(super) model_type: String,
    /// Version of vlp that wrote it.
    pub(super) vlp_version: String,
    /// Optimizer steps of training.
    pub(super) step: u64,
    /// Names of the model's outputs.
    pub(super) vocabulary: Vocabulary,
    /// The run's configuration. It has the paths of the data, which an evaluation reads, but not those of initial weights
    /// and of the cache of annotation files.
    pub(super) run: RunConfig,
}

/// A model read from such a folder.
#[derive(Debug)]
pub(super) struct HfModel {
    pub(super) config: RunConfig,
    pub(super) vocabulary: Vocabulary,
    pub(super) step: u64,
    pub(super) params: BTreeMap<String, TensorData>,
}

pub(super) fn config_file(folder: &Path) -> PathBuf {
    folder.join("config.json")
}

pub(super) fn weights_file(folder: &Path) -> PathBuf {
    folder.join("model.safetensors")
}

pub(super) fn tokenizer_file(folder: &Path) -> PathBuf {
    folder.join("tokenizer.json")
}

/// Whether a folder has this layout, and so is not a run folder.
pub(crate) fn is_hf_folder(folder: &Path) -> bool {
    config_file(folder).is_file() && weights_file(folder).is_file()
}

/// The configuration of a run folder, or of a folder in Hugging Face's layout; a tokenizer read from a file is replaced by
/// the folder's copy.
///
/// # Errors
/// [`VlpError::RunFolder`] for a folder that is neither.
pub fn run_config(folder: &Path) -> Result<RunConfig, VlpError> {
    if is_hf_folder(folder) {
        return Ok(read_config(folder)?.run);
    }
    let (folder, mut config) = RunFolder::open(folder)?;
    use_tokenizer_copy(&mut config, &folder.tokenizer());
    Ok(config)
}

/// Replaces a tokenizer read from a file, which may be one of another machine, by the folder's copy.
fn use_tokenizer_copy(config: &mut RunConfig, copy: &Path) {
    if is_tokenizer_file(&config.data.tokenizer) {
        config.data.tokenizer = copy.to_string_lossy().into_owned();
    }
}

fn read_config(folder: &Path) -> Result<HfConfig, VlpError> {
    let file = config_file(folder);
    let text = std::fs::read_to_string(&file).map_err(VlpError::io(&file))?;
    let invalid = |reason: String| VlpError::RunFolder {
        path: file.clone(),
        reason,
    };
    let mut config: HfConfig = serde_json::from_str(&text)
        .map_err(|e| invalid(format!("not a configuration of this version of vlp: {e}")))?;
    let valid = config.run.validate_evaluation();
    valid.map_err(|e| invalid(e.to_string()))?;
    use_tokenizer_copy(&mut config.run, &tokenizer_file(folder));
    Ok(config)
}

/// Reads a folder in Hugging Face's layout.
///
/// # Errors
/// [`VlpError::RunFolder`] for a configuration that vlp did not write, [`VlpError::Weights`] for tensors that cannot be read.
pub(super) fn read(folder: &Path) -> Result<HfModel, VlpError> {
    let config = read_config(folder)?;
    let file = WeightsFile::open(weights_file(folder))?;
    let mut params = BTreeMap::new();
    for (name, info) in file.tensors() {
        let data = TensorData::new(file.read_f32(name)?, info.shape.clone());
        params.insert(name.to_string(), data);
    }
    Ok(HfModel {
        config: config.run,
        vocabulary: config.vocabulary,
        step: config.step,
        params,
    })
}
