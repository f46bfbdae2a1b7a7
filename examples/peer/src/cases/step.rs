//! A training step as a run makes it: forward, losses, backward, clipping, update.

use burn::prelude::*;
use vlp_objectives::{Batch, Pretrain, PretrainObjectives, PretrainTargets, VisionLanguage, total};
use vlp_train::{SkipReason, Trainer};

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
) -> Result<Box<dyn Case>, PeerError> {
    let mvm = setup.config.objectives.mvm.as_ref();
    let rule = mvm.map(|mvm| mvm.mask_sampling).unwrap_or_default();
    Ok(Box::new(Step {
        trainer: Trainer::new(model, setup.config.train.clone())?,
        batch: batch::batch(inputs, rule, device)?,
    }))
}

impl<M: VisionLanguage> Case for Step<M> {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let (batch, mut found) = (&self.batch, Outputs::new());
        let mut add = |name: String, value: &Tensor<1>| {
            let value = value.clone().without_autodiff();
            found.push((name, Output::tensor(value)));
        };
        let report = self.trainer.step(0, |model, _| -> Result<_, PeerError> {
            let losses = model.losses(batch)?;
            for term in losses.iter().flat_map(|(_, losses)| &losses.terms) {
                let layer = term.layer.map(|layer| format!(".{layer}"));
                add(
                    format!("{}{}", term.name, layer.unwrap_or_default()),
                    &term.value,
                );
            }
            let Some(sum) = total(&losses) else {
                let reason = "no objective has a loss".into();
                return Ok(Err(SkipReason::NoGradient(reason)));
            };
            add("total".into(), &sum);
            Ok(Ok(sum))
        })?;
        if let Some(reason) = report.skipped {
            return Err(PeerError::Skipped(reason.to_string()));
        }
        found.push(("grad_norm".into(), Output::number(report.grad_norm.into())));
        Ok(found)
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
