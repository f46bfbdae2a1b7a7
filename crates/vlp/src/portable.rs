//! A model as a folder in Hugging Face's layout: `config.json`, `model.safetensors`, `tokenizer.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use vlp_weights::{SafetensorsWriter, WeightsFile};

use crate::config::{ModelConfig, RunConfig};
use crate::data::word_pieces;
use crate::error::VlpError;
use crate::run::RunFolder;
use crate::trained::{Trained, Vocabulary};

/// What `config.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Config {
    /// `vlp-e2e-vlp` or `vlp-soho`.
    model_type: String,
    /// Version of vlp that wrote it.
    vlp_version: String,
    /// Optimiser steps behind the weights.
    step: u64,
    /// Names of the model's outputs.
    vocabulary: Vocabulary,
    /// The configuration of the run, without paths of the machine that it ran on.
    run: RunConfig,
}

/// A model read from such a folder.
pub(crate) struct Portable {
    pub(crate) config: RunConfig,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) step: u64,
    pub(crate) values: BTreeMap<String, TensorData>,
}

fn config_file(folder: &Path) -> PathBuf {
    folder.join("config.json")
}

fn weights_file(folder: &Path) -> PathBuf {
    folder.join("model.safetensors")
}

fn tokenizer_file(folder: &Path) -> PathBuf {
    folder.join("tokenizer.json")
}

/// Whether a folder is laid out so, and not a run.
pub(crate) fn is(folder: &Path) -> bool {
    config_file(folder).is_file() && weights_file(folder).is_file()
}

/// The configuration of a run, or of a folder in Hugging Face's layout.
///
/// # Errors
/// [`VlpError::RunFolder`] for a folder that is neither.
pub fn run_config(folder: &Path) -> Result<RunConfig, VlpError> {
    match is(folder) {
        true => Ok(read_config(folder)?.run),
        false => Ok(RunFolder::open(folder)?.1),
    }
}

fn read_config(folder: &Path) -> Result<Config, VlpError> {
    let file = config_file(folder);
    let text = std::fs::read_to_string(&file).map_err(VlpError::io(&file))?;
    let mut config: Config = serde_json::from_str(&text).map_err(|e| VlpError::RunFolder {
        path: file,
        reason: format!("is no configuration that vlp wrote: {e}"),
    })?;
    if word_pieces(&config.run.data.pieces).is_err() {
        // A vocabulary file of the machine that wrote the folder.
        config.run.data.pieces = tokenizer_file(folder).to_string_lossy().into_owned();
    }
    Ok(config)
}

/// Reads a folder in Hugging Face's layout.
///
/// # Errors
/// [`VlpError::RunFolder`] for a configuration of something else, [`VlpError::Weights`] for tensors that cannot be read.
pub(crate) fn open(folder: &Path) -> Result<Portable, VlpError> {
    let Config {
        step,
        vocabulary,
        run,
        ..
    } = read_config(folder)?;
    let file = WeightsFile::open(weights_file(folder))?;
    let names: Vec<String> = file.names().map(str::to_string).collect();
    let mut values = BTreeMap::new();
    for name in names {
        let shape = file.info(&name)?.shape.clone();
        let data = TensorData::new(file.f32(&name)?, shape);
        values.insert(name, data);
    }
    Ok(Portable {
        config: run,
        vocabulary,
        step,
        values,
    })
}

/// Writes the model of a run and its heads as a folder in Hugging Face's layout. The number of tensors.
///
/// # Errors
/// As [`Trained::open`]; [`VlpError::RunFolder`] where something is in the way, [`VlpError::Weights`] where a file cannot be
/// written.
pub fn export(run: &Path, folder: &Path, device: &Device) -> Result<usize, VlpError> {
    let trained = Trained::open(run, device)?;
    RunFolder::vacant(folder)?;
    std::fs::create_dir_all(folder).map_err(VlpError::io(folder))?;
    let mut own = trained.config.clone();
    (own.from, own.weights) = (None, vec![]);
    let config = Config {
        model_type: match own.model {
            ModelConfig::E2eVlp(_) => "vlp-e2e-vlp".into(),
            ModelConfig::Soho(_) => "vlp-soho".into(),
        },
        vlp_version: env!("CARGO_PKG_VERSION").into(),
        step: trained.step,
        vocabulary: trained.vocabulary.clone(),
        run: own,
    };
    let target = RunFolder {
        path: folder.into(),
    };
    let count = write_weights(&trained, &weights_file(folder))?;
    let file = tokenizer_file(folder);
    vlp_train::files::replace(&file, trained.pieces.to_tokenizer_json()?.as_bytes())?;
    // Last: a folder without it is not taken for a model.
    target.write_json(&config_file(folder), &config)?;
    Ok(count)
}

/// Writes the weights of a model and its heads as one `.safetensors` file, under the paths they have here.
///
/// # Errors
/// [`VlpError::Weights`] where the file cannot be written.
pub(crate) fn write_weights(trained: &Trained, file: &Path) -> Result<usize, VlpError> {
    let all = trained.system().values();
    let shapes = all
        .iter()
        .map(|(path, data)| (path.clone(), data.shape().to_vec()));
    let metadata = BTreeMap::from([
        ("format".to_string(), "pt".to_string()),
        ("preset".to_string(), trained.config.preset.clone()),
        ("step".to_string(), trained.step.to_string()),
    ]);
    let mut writer = SafetensorsWriter::create(file, &shapes.collect(), &metadata)?;
    for (path, data) in &all {
        writer.write(path, &data.iter::<f32>().collect::<Vec<_>>())?;
    }
    writer.finish()?;
    Ok(all.len())
}
