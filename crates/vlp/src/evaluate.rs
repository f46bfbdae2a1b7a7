//! Held-out figures of a model.

use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::tally::Score;
use vlp_objectives::{Batcher, ObjectiveSet, Pretrain, Tally, VisionLanguage};
use vlp_text::WordPieces;

use crate::error::VlpError;

/// Scores of `model` (without autodiff) on `examples`. Masks and mismatched pairs are those of the
/// examples' epoch 0: the same for every model that is compared.
pub fn evaluate<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    batcher: &Batcher<'_>,
    examples: &[Example],
    batch_size: usize,
    device: &Device,
) -> Result<Vec<Score>, VlpError> {
    let mut tally = Tally::default();
    for chunk in examples.chunks(batch_size.max(1)) {
        let batch = batcher.batch(&model.objectives, chunk, device)?;
        model.evaluate(&batch, &mut tally)?;
    }
    Ok(tally.scores(batcher.pieces)?)
}

/// Word pieces shown as words: `##` joined to what stands before.
pub fn words(pieces: &WordPieces, ids: &[u32]) -> Vec<String> {
    ids.iter()
        .map(|&id| pieces.piece(id).unwrap_or("?").to_string())
        .collect()
}
