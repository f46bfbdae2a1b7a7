//! Starting from the weights of another run.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_data::LabelSpace;

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
/// detection, for `label_spaces`, are those of the same classes in the same order there.
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
                "the class head of {} is new: {shown} was not trained for its classes in this order",
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

/// Path of the class and attribute heads of detection, before the number of the label space.
const CLASS_HEADS: &str = "objectives.detection.heads.";

/// The parameters of a run that was trained for the label spaces `trained`, with the class heads numbered by `wanted`, and
/// without those of other classes.
fn with_class_heads(
    params: BTreeMap<String, TensorData>,
    trained: &[LabelSpace],
    wanted: &[LabelSpace],
) -> BTreeMap<String, TensorData> {
    let (heads, mut params): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (params.into_iter()).partition(|(path, _)| path.starts_with(CLASS_HEADS));
    for (index, space) in wanted.iter().enumerate() {
        let Some(source) = trained.iter().position(|trained| trained.same_names(space)) else {
            continue;
        };
        let prefix = format!("{CLASS_HEADS}{source}.");
        for (path, value) in &heads {
            if let Some(rest) = path.strip_prefix(&prefix) {
                params.insert(format!("{CLASS_HEADS}{index}.{rest}"), value.clone());
            }
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_heads_follow_their_classes() {
        let space = |class: &str| LabelSpace {
            classes: vec![class.into()],
            ..LabelSpace::default()
        };
        let paths = [
            "box_head.weight",
            "heads.0.class.weight",
            "heads.1.class.weight",
        ];
        let params = paths.iter().zip(0..).map(|(path, value)| {
            let data = TensorData::from([value as f32]);
            (format!("objectives.detection.{path}"), data)
        });
        let params: BTreeMap<String, TensorData> = params.collect();
        let trained = [space("dog"), space("cat")];
        let wanted = [space("cat"), space("bird"), space("dog")];
        let loaded = with_class_heads(params, &trained, &wanted);
        let loaded = loaded.iter().map(|(path, data)| {
            let path = path.trim_start_matches("objectives.detection.");
            (path, data.iter::<f32>().sum::<f32>())
        });
        let expected = [
            ("box_head.weight", 0.0),
            ("heads.0.class.weight", 2.0),
            ("heads.2.class.weight", 1.0),
        ];
        assert_eq!(loaded.collect::<Vec<_>>(), expected);
    }
}
