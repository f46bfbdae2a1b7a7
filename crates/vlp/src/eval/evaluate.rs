//! Evaluating a model on validation examples.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use burn::prelude::*;
use vlp_data::{AnswerVocabulary, Example};
use vlp_eval::results;
use vlp_files::create_folder;
use vlp_objectives::{
    CapturedEncoder, Itc, Itm, Metrics, ObjectiveSet, Predictions, Pretrain, Score, VisionLanguage,
};

use super::image_ids::set_image_ids;
use super::overrides::{check_overrides, evaluates_whole_source};
use super::retrieval::{Retriever, retrieval_metrics};
use crate::config::{CheckpointChoice, RunConfig, SourceKind, Sources, overlay};
use crate::data::{Datasets, have_same_names};
use crate::error::VlpError;
use crate::model::AnyModel;
use crate::processes::Processes;
use crate::run::TrainedModel;

/// Metrics and predictions of a model on validation examples.
#[derive(Debug)]
#[non_exhaustive]
pub struct Validation {
    /// The metrics.
    pub scores: Vec<Score>,
    /// Number of examples.
    pub examples: usize,
    /// Number of examples that the validation data have; `None` for generated scenes, which have as many as are wanted.
    pub available: Option<usize>,
    /// Messages about records that were skipped when the data were opened, and about the predictions.
    pub notes: Vec<String>,
    /// Messages about unreadable examples.
    pub unreadable: Vec<String>,
    /// Predictions for result files.
    pub predictions: Predictions,
}

/// The metrics that [`evaluate`] computes, without values.
///
/// # Errors
/// [`VlpError::Objective`] from the objectives' metrics.
pub(crate) fn list_metrics<O: ObjectiveSet>(
    objectives: &O,
    config: &RunConfig,
    data: &Datasets,
) -> Result<Vec<Score>, VlpError> {
    let mut scores = objectives.metrics().scores(&data.metric_context())?;
    if config.eval.retrieval > 0 {
        let has_itm = objectives.member::<Itm>().is_some();
        let has_itc = objectives.member::<Itc>().is_some();
        scores.extend(retrieval_metrics(has_itm, has_itc));
    }
    Ok(scores)
}

/// Evaluates `model` (without autodiff) on the validation examples of a configuration, one batch in memory at a time. Masks
/// and negative pairs depend only on the example, so they are the same for all models. Measures retrieval too if there
/// is a head for it and `eval.retrieval` is not 0.
///
/// # Errors
/// [`VlpError::Objective`] for images too small for the model, [`VlpError::Config`] if `eval.folds` does not fit.
pub fn evaluate<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<Validation, VlpError> {
    evaluate_shared(model, config, data, device, &Processes::single())
}

/// As [`evaluate`], but every process calls it with the same model, and they share the batches. The scores are those of one
/// process; only the first process has predictions.
///
/// # Errors
/// As [`evaluate`]; if one process fails, all do.
pub(crate) fn evaluate_shared<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
    processes: &Processes,
) -> Result<Validation, VlpError> {
    let (mut unreadable, mut count) = (vec![], 0);
    let collator = data.collator(config);
    let encoder = CapturedEncoder::new(&model.model, device);
    let total = config.eval.examples.min(data.validation.len());
    let batch_size = config.data.batch_size;
    let batches = processes.distribute(total.div_ceil(batch_size), |number| {
        let start = number * batch_size;
        let end = total.min(start + batch_size);
        let (examples, errors) = data.load_validation(config, start..end)?;
        let mut metrics = model.metrics();
        if !examples.is_empty() {
            let batch = collator.collate(&model.objectives, &examples, device)?;
            let output = encoder.encode(&batch.inputs(), model.objectives.passes())?;
            (model.objectives).evaluate(&output, &batch.targets(), &mut metrics)?;
        }
        Ok((metrics, examples.len(), errors))
    })?;
    // In the order of batches for one process too: sums then have the same bits for any number of processes.
    let mut metrics = model.metrics();
    for (of_batch, examples, errors) in batches {
        metrics.merge(of_batch);
        count += examples;
        unreadable.extend(errors);
    }
    let context = data.metric_context();
    let mut scores = processes.on_first(|| Ok(metrics.scores(&context)?))?;
    let (itm, itc) = (model.objectives.member(), model.objectives.member());
    if config.eval.retrieval > 0 && (itm.is_some() || itc.is_some()) {
        let (examples, errors) = load_retrieval_images(config, data, processes)?;
        for error in errors {
            if !unreadable.contains(&error) {
                unreadable.push(error);
            }
        }
        let retriever = Retriever {
            encoder: &encoder,
            itm,
            itc,
            collator: &collator,
            device,
        };
        scores.extend(retriever.scores_shared(&examples, &config.eval, processes)?);
    }
    let mut predictions = Predictions::default();
    if processes.is_first() {
        metrics.predictions(&context, &mut predictions);
    }
    let source = config.data.validation.as_ref();
    let kind = SourceKind::parse("data.validation", source.unwrap_or(&config.data.source))?;
    Ok(Validation {
        scores,
        examples: count,
        available: (kind != SourceKind::Scenes).then_some(data.validation.len()),
        notes: vec![],
        unreadable,
        predictions,
    })
}

/// The images among which retrieval is measured, as far as all processes can read them, and messages about the others.
fn load_retrieval_images(
    config: &RunConfig,
    data: &Datasets,
    processes: &Processes,
) -> Result<(Vec<Example>, Vec<String>), VlpError> {
    let loaded = data.load_validation_images(config, config.eval.retrieval);
    processes.beat();
    let tell = |(examples, errors): &(Vec<Example>, Vec<String>)| {
        let keys: HashSet<u64> = examples.iter().map(|example| example.key).collect();
        Ok((keys, errors.clone()))
    };
    let ((mut examples, _), told) = processes.gather_about(loaded, tell)?;
    let (keys, errors): (Vec<_>, Vec<_>) = told.into_iter().unzip();
    examples.retain(|example| keys.iter().all(|keys| keys.contains(&example.key)));
    let mut errors = errors.concat();
    let folds = config.eval.folds.max(1);
    let rest = examples.len() % folds;
    // Without unreadable images, the number of images is to blame, which the caller reports.
    if rest > 0 && !errors.is_empty() {
        examples.truncate(examples.len() - rest);
        errors.push(format!(
            "retrieval: {rest} more images left out, as eval.folds = {folds} divides the others"
        ));
    }
    Ok((examples, errors))
}

/// Evaluates a checkpoint of a run on the validation examples of its configuration, overridden by `sources` (other data,
/// more examples). Another `data.source` than the run's is evaluated as a whole, unless `sources` select a part of it
/// (`data.validation_fraction`, `data.karpathy`) or add others (`data.mix`).
///
/// # Errors
/// As [`TrainedModel::open`], and if the data cannot be read or have other classes, or an override has no effect on an
/// evaluation.
pub fn evaluate_run(
    run: &Path,
    checkpoint: CheckpointChoice,
    sources: &Sources,
    device: &Device,
) -> Result<Validation, VlpError> {
    evaluate_trained(
        &TrainedModel::open_checkpoint(run, checkpoint, device)?,
        sources,
    )
}

/// Evaluates a trained model, which may have your own objectives ([`TrainedModel::open_with`]), as [`evaluate_run`] does.
///
/// # Errors
/// As there.
pub fn evaluate_trained<O: ObjectiveSet>(
    trained: &TrainedModel<O>,
    sources: &Sources,
) -> Result<Validation, VlpError> {
    let config = overlay(&trained.config, sources)?;
    check_overrides(sources, &trained.config, &config)?;
    config.validate_evaluation()?;
    let spaces = &trained.vocabulary.label_spaces;
    let tokenizer = trained.tokenizer.clone();
    let whole_source = evaluates_whole_source(sources, &trained.config, &config)?;
    let mut data = Datasets::open_for_evaluation(&config, whole_source, tokenizer, spaces)?;
    if !have_same_names(&data.label_spaces, spaces) && config.objectives.detection.is_some() {
        let (key, spec) = match &config.data.validation {
            Some(spec) => ("data.validation", spec),
            None => ("data.source", &config.data.source),
        };
        return Err(VlpError::Config(format!(
            "{key} = \"{spec}\" has other classes than those that the run was trained for ({}); use data with the classes of its vocabulary.json",
            trained.vocabulary.label_space_names(),
        )));
    }
    data.answers = AnswerVocabulary::new(trained.vocabulary.answers.clone());
    let mut validation = match trained.model() {
        AnyModel::E2eVlp(model) => evaluate(model, &config, &data, &trained.device),
        AnyModel::Soho(model) => evaluate(model, &config, &data, &trained.device),
    }?;
    let note = set_image_ids(&mut validation.predictions, &config, &data);
    validation.notes = data.notes;
    validation.notes.extend(note);
    Ok(validation)
}

/// Writes predictions in the formats of the official tools: `vqa.json`, `captions.json`, `detections.json` and `nlvr2.csv`,
/// without empty ones. Detections of further label spaces are in `detections-NAME.json`. Returns the files written.
///
/// # Errors
/// [`VlpError::Io`] if the folder cannot be created, [`VlpError::Results`] for predictions that the tools would refuse.
pub fn write_results(predictions: &Predictions, folder: &Path) -> Result<Vec<PathBuf>, VlpError> {
    create_folder(folder).map_err(VlpError::io(folder))?;
    let mut files = vec![];
    let mut add_file = |name: &str| {
        files.push(folder.join(name));
        folder.join(name)
    };
    if !predictions.answers.is_empty() {
        results::write_vqa(add_file("vqa.json"), &predictions.answers)?;
    }
    if !predictions.captions.is_empty() {
        results::write_captions(add_file("captions.json"), &predictions.captions)?;
    }
    let mut names = HashSet::new();
    for (index, results) in predictions.detections.iter().enumerate() {
        if results.detections.is_empty() {
            continue;
        }
        let name = match (index, file_name(&results.label_space)) {
            (0, _) => "detections.json".to_owned(),
            (_, space) if names.insert(space.clone()) => format!("detections-{space}.json"),
            (_, space) => format!("detections-{space}-{}.json", index + 1),
        };
        results::write_detections(add_file(&name), &results.detections)?;
    }
    if !predictions.statements.is_empty() {
        results::write_nlvr2(add_file("nlvr2.csv"), &predictions.statements)?;
    }
    Ok(files)
}

/// The name of a label space with characters that every file system has.
fn file_name(label_space: &str) -> String {
    let safe = |c: char| match c.is_ascii_alphanumeric() || "-_.".contains(c) {
        true => c,
        false => '_',
    };
    label_space.chars().map(safe).collect()
}
