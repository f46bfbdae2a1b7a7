//! Runs as models of a server ([`vlp_serve`]).

mod convert;
mod examples;
mod info;
mod model;
mod search;
mod typical;

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use burn::prelude::*;
use vlp_serve::{ExampleImage, ModelInfo};

use crate::config::CheckpointChoice;
use crate::data::Datasets;
use crate::error::VlpError;
use crate::predict::Predictor;
use crate::search::SearchIndex;

use examples::example_images;
pub use search::attach_indices;
use typical::TypicalPatches;

/// A run as a model of a server.
#[derive(Debug)]
pub struct ServedRun {
    predictor: Predictor,
    info: ModelInfo,
    examples: Vec<ExampleImage>,
    /// Validation examples whose images they are; of pairs both images are.
    example_count: usize,
    /// The data of the examples, if they can be read here.
    data: Option<Datasets>,
    /// Computed when a client first asks for a code.
    typical: OnceLock<Result<TypicalPatches, String>>,
    /// What it searches in.
    search: Option<SearchIndex>,
}

impl ServedRun {
    /// The model of a run's checkpoint, with up to `examples` of its validation images. Returns messages about data that
    /// cannot be read, without which it is served as well.
    ///
    /// # Errors
    /// As [`Predictor::load_checkpoint`].
    pub fn open(
        run: &Path,
        checkpoint: CheckpointChoice,
        device: &Device,
        device_name: &str,
        examples: usize,
    ) -> Result<(Self, Vec<String>), VlpError> {
        let predictor = Predictor::load_checkpoint(run, checkpoint, device)?;
        let trained = predictor.trained();
        let mut notes = vec![];
        let mut data = None;
        if examples > 0 {
            match Datasets::open_with_tokenizer(&trained.config, trained.tokenizer.clone()) {
                Ok(datasets) => data = Some(datasets),
                Err(error) => notes.push(format!(
                    "{}: no examples: its data cannot be read: {error}",
                    run.display()
                )),
            }
        }
        let (mut images, mut example_count) = (vec![], 0);
        if let Some(data) = &data {
            match data.load_validation_images(&trained.config, examples) {
                Ok((loaded, errors)) => {
                    notes.extend(errors);
                    (images, example_count) = example_images(loaded, examples);
                }
                Err(error) => notes.push(format!("{}: no examples: {error}", run.display())),
            }
        }
        let name = run.file_name().map_or_else(
            || "model".into(),
            |name| name.to_string_lossy().into_owned(),
        );
        let info = info::model_info(trained, name, device_name);
        let served = Self {
            predictor,
            info,
            examples: images,
            example_count,
            data,
            typical: OnceLock::new(),
            search: None,
        };
        Ok((served, notes))
    }

    /// Names, heads and sizes.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// Numbers the names of runs that have the same one.
pub fn distinguish(runs: &mut [ServedRun]) {
    let mut names = HashSet::new();
    for run in runs {
        let name = run.info.name.clone();
        for number in 2.. {
            if names.insert(run.info.name.clone()) {
                break;
            }
            run.info.name = format!("{name}-{number}");
        }
    }
}
