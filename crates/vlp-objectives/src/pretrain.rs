//! A model with its objectives, and the batches it reads.

use burn::prelude::*;
use vlp_data::{Example, LabelSpace};
use vlp_text::WordPieces;
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;
use vlp_vision::padded::ImageView;

use crate::draft::Draft;
use crate::encoded::{Encoded, VisionLanguage};
use crate::error::ObjectiveError;
use crate::set::{NamedLosses, ObjectiveSet};
use crate::tally::Tally;

/// A model and the objectives that train it: one module, one checkpoint.
#[derive(Module, Debug)]
pub struct Pretrain<M: Module, O: Module> {
    /// The encoder (and decoder).
    pub model: M,
    /// Objectives with the heads they own.
    pub objectives: O,
}

/// Examples on the device, with their targets on the host.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// Padded pictures.
    pub images: PaddedImages,
    /// Texts after every objective has prepared them.
    pub text: TextBatch,
    /// Ids of those texts.
    pub ids: Vec<Vec<u32>>,
    /// A target for each example.
    pub targets: Vec<T>,
}

/// Turns loaded examples into batches.
#[derive(Debug, Clone, Copy)]
pub struct Batcher<'a> {
    /// The model's word pieces.
    pub pieces: &'a WordPieces,
    /// Names of the data set's classes and attributes.
    pub labels: &'a LabelSpace,
    /// Longest text in tokens.
    pub max_len: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Padded sizes are multiples of this; 1 in DETR.
    pub size_multiple: usize,
}

impl Batcher<'_> {
    /// Prepares every example for `objectives` and moves the batch to `device`.
    pub fn batch<O: ObjectiveSet>(
        &self,
        objectives: &O,
        examples: &[Example],
        device: &Device,
    ) -> Result<Batch<O::Targets>, ObjectiveError> {
        let mut ids = Vec::with_capacity(examples.len());
        let mut targets = Vec::with_capacity(examples.len());
        for example in examples {
            let mut draft = Draft::new(example, self.labels, self.pieces, self.max_len, self.seed);
            targets.push(objectives.prepare(&mut draft)?);
            ids.push(draft.text.ids);
        }
        let views: Vec<ImageView<'_>> = examples
            .iter()
            .map(|e| ImageView {
                pixels: &e.pixels,
                height: e.height,
                width: e.width,
            })
            .collect();
        let images = PaddedImages::pack(&views, self.size_multiple, device)?;
        let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let text = TextBatch::pack(&rows, self.pieces.special().pad, device);
        Ok(Batch {
            images,
            text,
            ids,
            targets,
        })
    }
}

impl<M: VisionLanguage, O: ObjectiveSet> Pretrain<M, O> {
    /// Runs the passes of the encoder that the objectives read.
    pub fn encode(&self, batch: &Batch<O::Targets>) -> Encoded<'_> {
        self.model
            .encode(&batch.images, &batch.text, self.objectives.needs())
    }

    /// Losses of every objective.
    pub fn losses(&self, batch: &Batch<O::Targets>) -> Result<NamedLosses, ObjectiveError> {
        self.objectives.losses(&self.encode(batch), &batch.targets)
    }

    /// Adds a held-out batch to the scores; call it on `self.valid()`.
    pub fn evaluate(
        &self,
        batch: &Batch<O::Targets>,
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        self.objectives
            .evaluate(&self.encode(batch), &batch.targets, tally)
    }
}

/// Weighted sum of all terms, `[1]`.
pub fn total(losses: &NamedLosses) -> Option<Tensor<1>> {
    let terms = losses.iter().flat_map(|(_, own)| &own.terms);
    terms
        .map(|(_, weight, value)| value.clone().mul_scalar(*weight))
        .reduce(|a, b| a + b)
}
