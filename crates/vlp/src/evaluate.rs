//! Held-out figures of a model.

use std::path::{Path, PathBuf};

use burn::prelude::*;
use vlp_data::AnswerVocabulary;
use vlp_eval::results;
use vlp_objectives::tally::Score;
use vlp_objectives::{ObjectiveSet, Predictions, Pretrain, Tally, VisionLanguage};

use crate::config::{RunConfig, Sources, overlay};
use crate::data::Datasets;
use crate::error::VlpError;
use crate::report::View;
use crate::retrieve::Retriever;
use crate::trained::{System, Trained};

/// What a model says of held-out examples, and how good that is.
pub struct Heldout {
    /// Figures by name.
    pub scores: Vec<Score>,
    /// Examples that were read.
    pub examples: usize,
    /// Those that could not be read, and why.
    pub unread: Vec<String>,
    /// What was said, for result files.
    pub predictions: Predictions,
}

/// What `model` (without autodiff) says of the held-out examples of a configuration, a batch in memory at a time. Masks and
/// mismatched pairs are those of the examples' epoch: the same for every model that is compared. With heads that compare,
/// retrieval too where the configuration asks for it.
pub fn heldout<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    heads: View<'_>,
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<Heldout, VlpError> {
    let (mut unread, mut examples) = (vec![], 0);
    let batcher = data.batcher(config);
    let mut tally = Tally::default();
    let size = config.data.batch_size;
    for start in (0..config.eval.examples).step_by(size) {
        let end = config.eval.examples.min(start + size);
        let (found, faults) = data.heldout(config, start..end);
        unread.extend(faults);
        examples += found.len();
        if !found.is_empty() {
            let batch = batcher.batch(&model.objectives, &found, device)?;
            model.evaluate(&batch, &mut tally)?;
        }
    }
    let mut scores = tally.scores(batcher.pieces)?;
    if let wanted @ 1.. = config.eval.retrieval
        && (heads.itm.is_some() || heads.itc.is_some())
    {
        let (found, _) = data.heldout(config, 0..wanted);
        let retriever = Retriever {
            model: &model.model,
            itm: heads.itm,
            itc: heads.itc,
            batcher: &batcher,
            device,
        };
        scores.extend(retriever.scores(&found, &config.eval)?);
    }
    Ok(Heldout {
        scores,
        examples,
        unread,
        predictions: tally.predictions(&data.labels, batcher.pieces),
    })
}

/// Writes what a model said as the official tools read it: `vqa.json`, `captions.json`, `detections.json`, `nlvr2.csv`,
/// those of which there is something. The files written.
///
/// # Errors
/// [`VlpError::Io`] for a folder that cannot be made, [`VlpError::Results`] for what the tools would refuse.
pub fn write_results(found: &Predictions, folder: &Path) -> Result<Vec<PathBuf>, VlpError> {
    std::fs::create_dir_all(folder).map_err(VlpError::io(folder))?;
    let mut files = vec![];
    let mut next = |name: &str, any: bool| {
        let file = folder.join(name);
        any.then(|| {
            files.push(file.clone());
            file
        })
    };
    if let Some(file) = next("vqa.json", !found.answers.is_empty()) {
        results::write_vqa(file, &found.answers)?;
    }
    if let Some(file) = next("captions.json", !found.captions.is_empty()) {
        results::write_captions(file, &found.captions)?;
    }
    if let Some(file) = next("detections.json", !found.detections.is_empty()) {
        results::write_detections(file, &found.detections)?;
    }
    if let Some(file) = next("nlvr2.csv", !found.statements.is_empty()) {
        results::write_nlvr2(file, &found.statements)?;
    }
    Ok(files)
}

/// What the model of the run at `run` says of the held-out examples of its configuration with `sources` laid over (other
/// data, more examples).
///
/// # Errors
/// As [`Trained::open`], and where the data cannot be read or have other classes.
pub fn evaluate_run(run: &Path, sources: &Sources, device: &Device) -> Result<Heldout, VlpError> {
    let trained = Trained::open(run, device)?;
    let config = overlay(&trained.config, sources)?;
    let mut data = Datasets::open(&config)?;
    let labels = &trained.vocabulary.labels;
    if !data.labels.same_names(labels) && config.objectives.detection.is_some() {
        return Err(VlpError::Config(format!(
            "data.source = \"{}\" has other classes than the run was trained for ({})",
            config.data.source, labels.name
        )));
    }
    data.answers = AnswerVocabulary::new(trained.vocabulary.answers.clone());
    let heads = View::from(trained.system().objectives());
    match trained.system() {
        System::E2eVlp(own) => heldout(own, heads, &config, &data, device),
        System::Soho(own) => heldout(own, heads, &config, &data, device),
    }
}
