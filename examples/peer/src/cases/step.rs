//! A training step as a run makes it: forward, losses, backward, clipping, update.

use burn::prelude::*;
use serde_json::json;
use vlp_objectives::{
    Batch, NamedLosses, ObjectiveSet, Pretrain, PretrainObjectives, PretrainTargets,
    VisionLanguage, total,
};
use vlp_ops::capture::Value;
use vlp_train::{BatchLoss, SkipReason, StepInputs, Trainer};

use super::Case;
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::output::{Output, Outputs};
use crate::setup::Setup;

struct Step<M: VisionLanguage> {
    trainer: Trainer<Pretrain<M, PretrainObjectives>>,
    batch: Batch<PretrainTargets>,
}

pub(super) fn load<M: VisionLanguage + 'static>(
    model: Pretrain<M, PretrainObjectives>,
    setup: &Setup,
    inputs: &Arrays,
    device: &Device,
    captures: bool,
) -> Result<Box<dyn Case>, PeerError> {
    let mvm = setup.config.objectives.mvm.as_ref();
    let rule = mvm.map(|mvm| mvm.mask_sampling).unwrap_or_default();
    let mut batch = batch::batch(inputs, rule, device)?;
    if !vlp_ops::is_cpu(device) {
        // As a run's collator does.
        let [_, length] = batch.text.ids.dims();
        let tensors = model
            .objectives
            .target_tensors(&batch.targets(), length, device)?;
        batch.target_tensors = tensors;
    }
    let config = setup.config.train.clone().with_capture(captures);
    Ok(Box::new(Step {
        trainer: Trainer::new(model, config)?,
        batch,
    }))
}

impl<M: VisionLanguage> Case for Step<M> {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let batch = &self.batch;
        let inputs = StepInputs {
            values: batch.tensors(),
            key: batch.key(),
        };
        let loss = |model: &Pretrain<M, PretrainObjectives>, _: usize, values: &[Value]| {
            let losses = model.losses_with_tensors(batch, values)?;
            Ok::<_, PeerError>(batch_loss(&losses))
        };
        let (report, outputs) = self.trainer.step_with_inputs(0, &[inputs], loss)?;
        if let Some(reason) = report.skipped {
            return Err(PeerError::Skipped(reason.to_string()));
        }
        let mut named = Outputs::new();
        for (names, values) in outputs {
            let values = names.into_iter().zip(values);
            named.extend(values.map(|(name, value)| (name, Output::number(value.into()))));
        }
        named.push(("grad_norm".into(), Output::number(report.grad_norm.into())));
        Ok(named)
    }

    fn graphs(&self) -> serde_json::Value {
        let report = self.trainer.capture_report();
        json!([{"name": "step", "recordings": report.recordings, "replays": report.replays, "fallbacks": report.fallbacks}])
    }

    #[cfg(feature = "ledger")]
    fn parts(&self) -> crate::ledger::Parts {
        crate::ledger::parts(self.trainer.model())
    }

    #[cfg(feature = "ledger")]
    fn gradients(&mut self) -> Result<Option<super::Backward>, PeerError> {
        let sum = total(&self.trainer.model().losses(&self.batch)?);
        Ok(sum.map(|sum| -> super::Backward { Box::new(move || drop(sum.backward())) }))
    }
}

/// The loss, of which the terms and the total are reported; the output is their names.
fn batch_loss(losses: &NamedLosses) -> BatchLoss<Vec<String>> {
    let Some(sum) = total(losses) else {
        let reason = "no objective has a loss".into();
        return BatchLoss::new(Err(SkipReason::NoGradient(reason)), vec![]);
    };
    let (mut names, mut values) = (vec![], vec![]);
    for term in losses.iter().flat_map(|(_, losses)| &losses.terms) {
        let layer = term.layer.map(|layer| format!(".{layer}"));
        names.push(format!("{}{}", term.name, layer.unwrap_or_default()));
        values.push(term.value.clone().without_autodiff());
    }
    names.push("total".into());
    values.push(sum.clone().without_autodiff());
    BatchLoss {
        loss: Ok(sum),
        names: names.clone(),
        values: Some(Tensor::cat(values, 0)),
        output: names,
    }
}
