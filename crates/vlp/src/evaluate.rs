//! Held-out figures of a model.

use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::tally::Score;
use vlp_objectives::{Batcher, ObjectiveSet, Pretrain, Tally, VisionLanguage};

use crate::error::VlpError;

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
