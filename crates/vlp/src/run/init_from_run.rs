//! Starting from the weights of another run.

use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use vlp_data::LabelSpace;

use super::class_heads::{CLASS_HEADS, with_class_heads};
use super::trained::TrainedModel;
use crate::config::CheckpointChoice;
use crate::error::VlpError;
use crate::weights::ParamLoader;

/// Maximum number of parameters that a note lists by name.
const MAX_LISTED: usize = 6;

/// A module with weights from a run.
#[derive(Debug)]
pub struct Initialized<M> {
    /// The module.
    pub module: M,
    /// SHA-256 of the vocabulary of the run's tokenizer.
    pub tokenizer_sha256: String,
    /// Messages that say what was loaded and what was not.
    pub notes: Vec<String>,
}

/// Loads the weights of a checkpoint of the run `from` into all parameters and buffers of `module` that have the same path
/// there: the model, and heads of objectives that the run trained too. The others keep their values. The class heads of
/// detection, for `label_spaces`, are those of the same classes there.
///
/// # Errors
/// [`VlpError::Config`] if a parameter has another shape there or none has the same path; as [`TrainedModel::open`].
pub fn init_from_run<M: Module>(
    module: M,
    from: &Path,
    checkpoint: CheckpointChoice,
    label_spaces: &[LabelSpace],
    device: &Device,
) -> Result<Initialized<M>, VlpError> {
    let source = TrainedModel::open_checkpoint(from, checkpoint, device)?;
    let params = source.model().params();
    let params = with_class_heads(params, &source.vocabulary.label_spaces, label_spaces);
    let mut loader = ParamLoader::new(params);
    let module = loader.load(module);
    let shown = from.display();
    if let Some(mismatch) = loader.mismatches.first() {
        return Err(VlpError::Config(format!(
            "from = \"{shown}\": {mismatch}; use the model sizes of that run"
        )));
    }
    if loader.loaded == 0 {
        return Err(VlpError::Config(format!(
            "from = \"{shown}\": it has no parameter of this model; use a run with the same model.system"
        )));
    }
    let (loaded, step) = (loader.loaded, source.step);
    let mut notes = vec![format!(
        "{loaded} parameters and buffers loaded from {shown} (step {step})"
    )];
    if !loader.missing.is_empty() {
        let listed = loader.missing.iter().take(MAX_LISTED).cloned();
        let listed = listed.collect::<Vec<_>>().join(", ");
        notes.push(match loader.missing.len().saturating_sub(MAX_LISTED) {
            0 => format!("randomly initialized: {listed}"),
            more => format!("randomly initialized: {listed} and {more} more"),
        });
    }
    for (index, space) in label_spaces.iter().enumerate() {
        let prefix = format!("{CLASS_HEADS}{index}.");
        if loader.missing.iter().any(|path| path.starts_with(&prefix)) {
            notes.push(format!(
                "the class head of {} is new: {shown} was not trained for its classes and attributes",
                space.name
            ));
        }
    }
    Ok(Initialized {
        module,
        tokenizer_sha256: source.vocabulary.tokenizer_sha256,
        notes,
    })
}
