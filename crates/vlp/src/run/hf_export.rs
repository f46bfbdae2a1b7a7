//! Writing a run's model as a folder in Hugging Face's layout or as one `.safetensors` file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::prelude::*;
use vlp_files::PartialFolder;
use vlp_train::atomic_file::write_atomic;
use vlp_weights::SafetensorsWriter;

use super::folder::RunFolder;
use super::hf_folder::{HfConfig, config_file, tokenizer_file, weights_file};
use super::trained::TrainedModel;
use crate::config::{CheckpointChoice, ModelConfig};
use crate::error::VlpError;

/// Writes model and heads of a checkpoint: as one file if `path` ends in `.safetensors`, with the parameter paths as names,
/// else as a folder in Hugging Face's layout. Returns the number of tensors.
///
/// # Errors
/// As [`TrainedModel::open`]; [`VlpError::RunFolder`] if the file exists or the folder is not empty, [`VlpError::Weights`] if
/// a file cannot be written.
pub fn export(
    run: &Path,
    checkpoint: CheckpointChoice,
    path: &Path,
    device: &Device,
) -> Result<usize, VlpError> {
    let is_file = path.extension().is_some_and(|e| e == "safetensors");
    check_new(path, is_file)?;
    let trained = TrainedModel::open_checkpoint(run, checkpoint, device)?;
    match is_file {
        true => write_weights(&trained, path),
        false => write_folder(trained, path),
    }
}

/// Refuses a path at which there is a file, or a folder with contents.
fn check_new(path: &Path, is_file: bool) -> Result<(), VlpError> {
    let has_entries = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    let reason = match is_file {
        true if path.is_file() || path.is_dir() => "already exists; export to another file",
        false if path.is_file() => {
            "already exists and is a file; export to a new folder, or to a file that ends in .safetensors"
        }
        false if has_entries() => "already exists and is not empty; export to a new folder",
        _ => return Ok(()),
    };
    Err(VlpError::RunFolder {
        path: path.into(),
        reason: reason.into(),
    })
}

fn write_folder(trained: TrainedModel, folder: &Path) -> Result<usize, VlpError> {
    let partial = PartialFolder::create(folder).map_err(VlpError::io(folder))?;
    let count = write_weights(&trained, &weights_file(partial.path()))?;
    let tokenizer = trained.tokenizer.to_tokenizer_json()?;
    write_atomic(&tokenizer_file(partial.path()), tokenizer.as_bytes())?;
    let mut run = trained.config;
    (run.from, run.weights) = (None, vec![]);
    run.data.index = None;
    run.from_checkpoint = CheckpointChoice::Last;
    let config = HfConfig {
        model_type: match run.model {
            ModelConfig::E2eVlp(_) => "vlp-e2e-vlp".into(),
            ModelConfig::Soho(_) => "vlp-soho".into(),
        },
        vlp_version: env!("CARGO_PKG_VERSION").into(),
        step: trained.step,
        vocabulary: trained.vocabulary,
        run,
    };
    let target = RunFolder {
        path: partial.path().into(),
    };
    target.write_json(&config_file(partial.path()), &config)?;
    partial.finish().map_err(VlpError::io(folder))?;
    Ok(count)
}

fn write_weights(trained: &TrainedModel, file: &Path) -> Result<usize, VlpError> {
    let params = trained.model().params();
    let shapes = params.iter();
    let shapes = shapes.map(|(path, data)| (path.clone(), data.shape().to_vec()));
    let metadata = BTreeMap::from([
        ("format".to_string(), "pt".to_string()),
        ("preset".to_string(), trained.config.preset.clone()),
        ("step".to_string(), trained.step.to_string()),
    ]);
    let mut writer = SafetensorsWriter::create(file, &shapes.collect(), &metadata)?;
    for (path, data) in &params {
        writer.write(path, &data.iter::<f32>().collect::<Vec<_>>())?;
    }
    writer.finish()?;
    Ok(params.len())
}
