//! A trained model for use on images.

use std::path::Path;

use burn::prelude::*;

use crate::config::CheckpointChoice;
use crate::error::VlpError;
use crate::run::TrainedModel;

/// A trained model for use on images.
///
/// ```no_run
/// use vlp::Predictor;
///
/// let model = Predictor::load("runs/first")?;
/// let image = vlp::predict::read_image("photo.jpg")?;
/// println!("{}", model.caption(&image)?.text);
/// for object in model.detect(&image, 0.5)? {
///     println!("{} {:.2} at {:?}", object.class, object.score, object.bbox);
/// }
/// # Ok::<(), vlp::VlpError>(())
/// ```
#[derive(Debug)]
pub struct Predictor {
    trained: TrainedModel,
    /// Index of the label space whose classes are detected.
    pub(super) label_space: usize,
}

impl Predictor {
    /// The model of a run's last checkpoint, on the best device compiled in.
    ///
    /// # Errors
    /// As [`TrainedModel::open`].
    pub fn load(run: impl AsRef<Path>) -> Result<Self, VlpError> {
        let device = crate::device::pick("auto")?;
        Self::load_checkpoint(run, CheckpointChoice::Last, &device)
    }

    /// The model of a checkpoint of a run, on a device.
    ///
    /// # Errors
    /// As [`TrainedModel::open_checkpoint`].
    pub fn load_checkpoint(
        run: impl AsRef<Path>,
        checkpoint: CheckpointChoice,
        device: &Device,
    ) -> Result<Self, VlpError> {
        let trained = TrainedModel::open_checkpoint(run, checkpoint, device)?;
        Ok(Self {
            trained,
            label_space: 0,
        })
    }

    /// Detects the classes of the label space with this name, instead of those of the first.
    ///
    /// # Errors
    /// [`VlpError::Config`] that names the label spaces if the run has none of that name.
    pub fn with_label_space(self, name: &str) -> Result<Self, VlpError> {
        let vocabulary = &self.trained.vocabulary;
        let mut spaces = vocabulary.label_spaces.iter();
        let Some(label_space) = spaces.position(|space| space.name == name) else {
            return Err(VlpError::Config(format!(
                "label space \"{name}\": the run was trained for the classes of {}",
                vocabulary.label_space_names()
            )));
        };
        Ok(Self {
            label_space,
            ..self
        })
    }

    /// The model with its configuration and names.
    pub fn trained(&self) -> &TrainedModel {
        &self.trained
    }
}

pub(super) fn missing_head(objective: &str) -> VlpError {
    VlpError::Config(format!(
        "this run has no {objective}: train it with one, or fine-tune it for the task (vlp finetune)"
    ))
}
