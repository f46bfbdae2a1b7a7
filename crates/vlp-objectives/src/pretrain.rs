//! A model with its objectives.

use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::init::{InitScope, InitWeights};
use vlp_transformer::{Decoder, DecoderInput, TextBatch};
use vlp_vision::PaddedImages;

use crate::batch::Batch;
use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::inputs::Inputs;
use crate::objective::Term;
use crate::passes::merges_passes;
use crate::set::{NamedLosses, ObjectiveSet};
use crate::targets::Targets;
use crate::vision_language::VisionLanguage;

/// A model and the objectives that train it: one module, one checkpoint.
#[derive(Module, Debug)]
pub struct Pretrain<M: Module, O: Module> {
    /// The encoder (and decoder).
    pub model: M,
    /// Objectives with their heads.
    pub objectives: O,
}

impl<M, O> InitWeights for Pretrain<M, O>
where
    M: Module + InitWeights,
    O: Module + InitWeights,
{
    fn init_weights(self, scope: &InitScope<'_>) -> Self {
        Self {
            model: self.model.init_weights(&scope.child("model")),
            objectives: self.objectives.init_weights(&scope.child("objectives")),
        }
    }
}

impl<M: VisionLanguage, O: ObjectiveSet> Pretrain<M, O> {
    /// Runs the passes of the encoder that the objectives read.
    ///
    /// # Errors
    /// As [`VisionLanguage::encode`].
    pub fn encode<T>(&self, batch: &Batch<T>) -> Result<EncoderOutput<'_>, ObjectiveError> {
        self.model.encode(&batch.inputs(), self.objectives.passes())
    }

    /// Losses of every objective, with their [diagnostics](ObjectiveSet::diagnostics). If an objective mines hard negatives, only
    /// these and the positive pairs of a batch of all pairs are used.
    ///
    /// # Errors
    /// As [`VisionLanguage::encode`] and [`ObjectiveSet::losses`].
    pub fn losses(&self, batch: &Batch<O::Targets>) -> Result<NamedLosses, ObjectiveError> {
        let Some(rows) = self.mined_rows(batch)? else {
            let mut output = self.encode(batch)?;
            output.target_tensors.clone_from(&batch.target_tensors);
            return self.losses_and_diagnostics(output, &batch.targets());
        };
        let selected = batch.select(&rows);
        let targets = selected.targets().project(|target| *target);
        self.losses_and_diagnostics(self.encode(&selected)?, &targets)
    }

    fn losses_and_diagnostics(
        &self,
        output: EncoderOutput<'_>,
        targets: &Targets<'_, O::Targets>,
    ) -> Result<NamedLosses, ObjectiveError> {
        let mut losses = self.losses_of(output, targets)?;
        for (objective, diagnostics) in self.objectives.diagnostics(targets)? {
            let mut losses = losses.iter_mut();
            if let Some((_, losses)) = losses.find(|(name, _)| *name == objective) {
                losses.diagnostics.extend(diagnostics);
            }
        }
        Ok(losses)
    }

    /// [`Self::losses`] of the batch with other [tensors](Batch::tensors), as a recorded step needs it; without diagnostics, which
    /// depend on the targets.
    ///
    /// # Errors
    /// As [`Self::losses`].
    pub fn losses_with_tensors(
        &self,
        batch: &Batch<O::Targets>,
        tensors: &[Value],
    ) -> Result<NamedLosses, ObjectiveError> {
        let mines = batch.all_pairs.is_some() && self.objectives.miner(&batch.targets())?.is_some();
        if mines {
            return self.losses(batch);
        }
        let batch = batch.with_tensors(tensors);
        let mut output = self.encode(&batch)?;
        output.target_tensors.clone_from(&batch.target_tensors);
        let targets = batch.targets();
        self.losses_of(output, &targets.project(|target| *target))
    }

    fn losses_of(
        &self,
        mut output: EncoderOutput<'_>,
        targets: &Targets<'_, O::Targets>,
    ) -> Result<NamedLosses, ObjectiveError> {
        let merges = |_: &&Decoder| {
            let image = output.image.as_ref();
            image.is_some_and(|image| merges_passes(&image.states.device()))
        };
        if let Some(decoder) = output.parts.decoder.filter(merges) {
            output.decoded = decode(decoder, self.objectives.decoder_inputs(&output, targets)?);
        }
        self.objectives.losses(&output, targets)
    }

    /// Rows of positive pairs and of hard negatives, ascending; `None` unless the batch pairs all images with all texts
    /// and an objective mines hard negatives.
    fn mined_rows(&self, batch: &Batch<O::Targets>) -> Result<Option<Vec<usize>>, ObjectiveError> {
        let Some(texts) = batch.all_pairs else {
            return Ok(None);
        };
        let targets = batch.targets();
        if self.objectives.miner(&targets)?.is_none() {
            return Ok(None);
        }
        let without_autodiff = batch.images.pixels.is_autodiff().then(|| self.valid());
        let pretrain = without_autodiff.as_ref().unwrap_or(self);
        let Some(miner) = pretrain.objectives.miner(&targets)? else {
            return Ok(None);
        };
        let images = PaddedImages {
            pixels: batch.images.pixels.clone().inner(),
            pad_mask: batch.images.pad_mask.clone().inner(),
        };
        let inner = |text: &TextBatch| TextBatch {
            ids: text.ids.clone().inner(),
            pad_mask: text.pad_mask.clone().inner(),
        };
        let (text, image_texts) = (inner(&batch.text), batch.image_texts.as_ref().map(inner));
        let inputs = Inputs {
            images: &images,
            text: &text,
            image_texts: image_texts.as_ref(),
            ..batch.inputs()
        };
        let output = pretrain.model.encode(&inputs, miner.passes())?;
        let positives = (0..texts).map(|index| (index, index));
        let pairs = positives.chain(miner.mine_hard_negatives(&output));
        let mut rows: Vec<usize> = pairs.map(|(image, text)| image * texts + text).collect();
        rows.sort_unstable();
        rows.dedup();
        Ok(Some(rows))
    }

    /// Empty metrics of the objectives.
    pub fn metrics(&self) -> O::Metrics {
        self.objectives.metrics()
    }

    /// Records a validation batch; call it on `self.valid()`.
    ///
    /// # Errors
    /// As [`VisionLanguage::encode`] and [`ObjectiveSet::evaluate`].
    pub fn evaluate(
        &self,
        batch: &Batch<O::Targets>,
        metrics: &mut O::Metrics,
    ) -> Result<(), ObjectiveError> {
        let output = self.encode(batch)?;
        self.objectives.evaluate(&output, &batch.targets(), metrics)
    }
}

/// Decodes the inputs of all objectives together.
fn decode(
    decoder: &Decoder,
    inputs: Vec<(&'static str, DecoderInput<'_>)>,
) -> Vec<(&'static str, Vec<Tensor<3>>)> {
    let lengths = inputs
        .iter()
        .map(|(name, input)| (*name, input.x.dims()[1]));
    let lengths: Vec<(&str, usize)> = lengths.collect();
    let is_single = inputs.len() == 1;
    let joined = inputs.into_iter().map(|(_, input)| input);
    let layers = joined
        .reduce(DecoderInput::join)
        .map(|input| decoder.forward_all(input));
    let layers = layers.unwrap_or_default();
    let mut start = 0;
    let outputs = lengths.into_iter().map(|(name, length)| {
        let rows = |layer: &Tensor<3>| match is_single {
            true => layer.clone(),
            false => layer.clone().narrow(1, start, length),
        };
        let outputs = layers.iter().map(rows).collect();
        start += length;
        (name, outputs)
    });
    outputs.collect()
}

/// Weighted sum of all terms, `[1]`; `None` without terms.
pub fn total(losses: &NamedLosses) -> Option<Tensor<1>> {
    let weighted = |term: &Term| term.value.clone().mul_scalar(term.weight);
    let sums = losses.iter().flat_map(|(_, losses)| match &losses.total {
        Some(total) => vec![total.clone()],
        None => losses.terms.iter().map(weighted).collect(),
    });
    sums.reduce(|a, b| a + b)
}
