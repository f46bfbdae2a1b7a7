//! Held-out figures of a model.

use std::path::Path;

use burn::prelude::*;
use vlp_data::{AnswerVocabulary, Example};
use vlp_objectives::tally::Score;
use vlp_objectives::{Batcher, ObjectiveSet, Pretrain, Tally, VisionLanguage};

use crate::config::{RunConfig, Sources, overlay};
use crate::data::Datasets;
use crate::error::VlpError;
use crate::report::View;
use crate::retrieve::Retriever;
use crate::trained::{System, Trained};

/// Scores of `model` (without autodiff) on batches of examples, which are read one at a time. Masks and
/// mismatched pairs are those of the examples' epoch: the same for every model that is compared.
pub fn evaluate<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    batcher: &Batcher<'_>,
    batches: impl IntoIterator<Item = Vec<Example>>,
    device: &Device,
) -> Result<Vec<Score>, VlpError> {
    let mut tally = Tally::default();
    for examples in batches {
        if examples.is_empty() {
            continue;
        }
        let batch = batcher.batch(&model.objectives, &examples, device)?;
        model.evaluate(&batch, &mut tally)?;
    }
    Ok(tally.scores(batcher.pieces)?)
}

/// Scores of `model` on the held-out examples of a configuration, a batch in memory at a time; with the number of
/// examples, and what could not be read. With heads that compare, retrieval too where the configuration asks for it.
pub fn heldout<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    heads: View<'_>,
    config: &RunConfig,
    data: &Datasets,
    device: &Device,
) -> Result<(Vec<Score>, usize, Vec<String>), VlpError> {
    let (mut unread, mut examples) = (vec![], 0);
    let size = config.data.batch_size;
    let batches = (0..config.eval.examples).step_by(size).map(|start| {
        let end = config.eval.examples.min(start + size);
        let (found, faults) = data.heldout(config, start..end);
        unread.extend(faults);
        examples += found.len();
        found
    });
    let batcher = data.batcher(config);
    let mut scores = evaluate(model, &batcher, batches, device)?;
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
    Ok((scores, examples, unread))
}

/// Scores of the model of the run at `run` on the held-out examples of its configuration with `sources` laid over (other
/// data, more examples).
///
/// # Errors
/// As [`Trained::open`], and where the data cannot be read or have other classes.
pub fn evaluate_run(
    run: &Path,
    sources: &Sources,
    device: &Device,
) -> Result<Vec<Score>, VlpError> {
    let trained = Trained::open(run, device)?;
    let config = overlay(&trained.config, sources)?;
    let mut data = Datasets::open(&config)?;
    if data.labels != trained.vocabulary.labels && config.objectives.detection.is_some() {
        return Err(VlpError::Config(format!(
            "data.source = \"{}\" has other classes than the run was trained for ({})",
            config.data.source, trained.vocabulary.labels.name
        )));
    }
    data.answers = AnswerVocabulary::new(trained.vocabulary.answers.clone());
    let heads = View::from(trained.system().objectives());
    let (scores, _, _) = match trained.system() {
        System::E2eVlp(own) => heldout(own, heads, &config, &data, device),
        System::Soho(own) => heldout(own, heads, &config, &data, device),
    }?;
    Ok(scores)
}
