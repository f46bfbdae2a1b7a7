//! Held-out figures of a model.

use std::path::Path;

use burn::prelude::*;
use vlp_data::{AnswerVocabulary, Example};
use vlp_eval::retrieval::retrieval;
use vlp_objectives::tally::Score;
use vlp_objectives::{
    Batcher, Inputs, Itm, Needs, ObjectiveError, ObjectiveSet, Pretrain, Tally, VisionLanguage,
};
use vlp_transformer::TextBatch;

use crate::config::{RunConfig, Sources, overlay};
use crate::data::Datasets;
use crate::error::VlpError;
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
/// examples, and what could not be read. With `itm`, retrieval too where the configuration asks for it.
pub fn heldout<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    itm: Option<&Itm>,
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
    if let (Some(itm), wanted @ 1..) = (itm, config.eval.retrieval) {
        let (found, _) = data.heldout(config, 0..wanted);
        scores.extend(retrieve(&model.model, itm, &batcher, &found, device)?);
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
    let itm = trained.system().objectives().itm.as_ref();
    let (scores, _, _) = match trained.system() {
        System::E2eVlp(own) => heldout(own, itm, &config, &data, device),
        System::Soho(own) => heldout(own, itm, &config, &data, device),
    }?;
    Ok(scores)
}

/// Recall of retrieval by the ITM score: every picture beside the first text of every example.
///
/// The trunk runs once a picture, the encoder once a pair: the cost grows with the square of the examples.
pub fn retrieve<M: VisionLanguage>(
    model: &M,
    itm: &Itm,
    batcher: &Batcher<'_>,
    examples: &[Example],
    device: &Device,
) -> Result<Vec<Score>, VlpError> {
    let texts: Vec<Vec<u32>> = examples
        .iter()
        .map(|example| batcher.draft(example, 0).text.ids)
        .collect();
    let rows: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let text = TextBatch::pack(&rows, batcher.pieces.special().pad, device);
    let image_of = vec![0; rows.len()];
    let mut similarity = Vec::with_capacity(examples.len() * rows.len());
    for example in examples {
        let images = batcher.picture(example, device)?;
        let inputs = Inputs {
            images: &images,
            text: &text,
            image_of: &image_of,
            cells: &[],
        };
        let logits = itm.logits(&model.encode(&inputs, Needs::JOINT)?)?;
        let margin = logits.clone().narrow(1, 1, 1) - logits.narrow(1, 0, 1);
        similarity.extend(margin.into_data().iter::<f32>());
    }
    let own: Vec<usize> = (0..examples.len()).collect();
    let found = retrieval(&similarity, examples.len(), &own).map_err(ObjectiveError::from)?;
    let recalls = |name: &str, summary: &vlp_eval::retrieval::RankSummary| {
        [(1, summary.r1), (5, summary.r5), (10, summary.r10)]
            .map(|(k, value)| (format!("{name} retrieval R@{k}"), Some(value)))
    };
    let mut scores = recalls("text", &found.text).to_vec();
    scores.extend(recalls("image", &found.image));
    Ok(scores)
}
