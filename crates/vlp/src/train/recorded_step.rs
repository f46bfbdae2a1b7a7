//! Training steps that a GPU replays as recorded graphs.

use burn::prelude::*;
use vlp_data::LoadedBatch;
use vlp_objectives::{Batch, Collator, ObjectiveSet, Pretrain, VisionLanguage};
use vlp_ops::capture::Value;
use vlp_train::{StepCaptureReport, StepInputs, StepOutcome, Trainer};

use super::loss_values::{LossLayout, empty_batch_loss, finite_batch_loss};
use crate::error::VlpError;

/// A step of one process whose tensors are all copied to the device at its start.
pub(super) struct RecordedStep<'a> {
    pub(super) collator: &'a Collator<'a>,
    /// With autodiff.
    pub(super) device: &'a Device,
    pub(super) seed: u64,
}

impl RecordedStep<'_> {
    /// One optimizer step, replayed or not.
    pub(super) fn run<M: VisionLanguage, O: ObjectiveSet>(
        &self,
        trainer: &mut Trainer<Pretrain<M, O>>,
        batches: &[LoadedBatch],
    ) -> Result<StepOutcome<LossLayout>, VlpError> {
        let batches = self.collate(&trainer.model().objectives, batches)?;
        let inputs = batches.iter().map(|batch| match batch {
            Some(batch) => StepInputs {
                values: batch.tensors(),
                key: batch.key(),
            },
            None => StepInputs::default(),
        });
        let inputs: Vec<StepInputs> = inputs.collect();
        let first = trainer.micro_batches().start;
        let loss = |model: &Pretrain<M, O>, index: usize, values: &[Value]| {
            let Some(batch) = &batches[index - first] else {
                return Ok(empty_batch_loss(self.device));
            };
            finite_batch_loss(model.losses_with_tensors(batch, values), self.device)
        };
        let (report, outputs) = trainer.step_with_inputs(self.seed, &inputs, loss)?;
        // The layouts may be those of the recorded step.
        let objectives = &trainer.model().objectives;
        let with_diagnostics = |((layout, values), batch): ((LossLayout, _), &Option<Batch<_>>)| {
            let layout = match batch {
                Some(batch) => layout.with_diagnostics(objectives.diagnostics(&batch.targets())?),
                None => layout,
            };
            Ok::<_, VlpError>((layout, values))
        };
        let outputs = outputs.into_iter().zip(&batches).map(with_diagnostics);
        Ok((report, outputs.collect::<Result<_, _>>()?))
    }

    /// Batches with their tensors on the device; `None` for one of which no sample could be read.
    fn collate<O: ObjectiveSet>(
        &self,
        objectives: &O,
        batches: &[LoadedBatch],
    ) -> Result<Vec<Option<Batch<O::Targets>>>, VlpError> {
        let collate = |batch: &LoadedBatch| {
            let examples = &batch.examples;
            let batch = (!examples.is_empty())
                .then(|| self.collator.collate(objectives, examples, self.device));
            batch.transpose().map_err(VlpError::from)
        };
        batches.iter().map(collate).collect()
    }
}

/// How many steps were replayed, and why others were not.
pub(super) fn describe(report: &StepCaptureReport) -> String {
    let (graphs, replays) = (report.recordings, report.replays);
    let mut text = format!("recorded training steps: graphs {graphs}, steps replayed {replays}");
    for (reason, count) in &report.fallbacks {
        text += &format!("; {count} without a graph: {reason}");
    }
    text
}
