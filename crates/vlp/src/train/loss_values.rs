//! Loss values as numbers.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::set::NamedDiagnostics;
use vlp_objectives::{NamedLosses, ObjectiveError, total};
use vlp_train::{BatchLoss, SkipReason};

use crate::error::VlpError;
use crate::run::log_keys::{loss_key, statistic_key};

/// A loss or a statistic of a step.
#[derive(Debug, Clone)]
pub(super) struct LossValue {
    /// Key in the log.
    pub(super) key: String,
    /// Name on the progress line; `None` if it is only logged.
    pub(super) name: Option<String>,
    pub(super) value: f32,
}

/// Keys of a micro-batch's values, and its statistics.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LossLayout(Vec<ObjectiveLayout>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ObjectiveLayout {
    objective: String,
    terms: Vec<TermLayout>,
    /// Names of the diagnostics that are read with the terms.
    measured: Vec<String>,
    diagnostics: Vec<(String, f64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TermLayout {
    name: String,
    weight: f32,
    /// Whether it belongs to a decoder layer before the last.
    is_auxiliary: bool,
}

/// The loss of a micro-batch, of which the total, all terms and all measured diagnostics are reported.
pub(super) fn batch_loss(losses: NamedLosses, device: &Device) -> BatchLoss<LossLayout> {
    let total = total(&losses).unwrap_or_else(|| Tensor::zeros([1], device));
    let (mut names, mut values) = (
        vec![loss_key("loss")],
        vec![total.clone().without_autodiff()],
    );
    let mut loss = Ok(total);
    let mut layout = vec![];
    for (objective, losses) in losses {
        let mut terms = vec![];
        for term in losses.terms {
            names.push(loss_key(&format!("{objective}/{}", term.name)));
            values.push(term.value.without_autodiff());
            terms.push(TermLayout {
                name: term.name.into(),
                weight: term.weight as f32,
                is_auxiliary: term.layer.is_some(),
            });
        }
        let mut measured = vec![];
        for (name, value) in losses.measured {
            names.push(statistic_key(&format!("{objective}/{name}")));
            values.push(value.without_autodiff());
            measured.push(name.into());
        }
        let mut diagnostics = losses.diagnostics.iter();
        if let Some((name, _)) = diagnostics.find(|(_, value)| !value.is_finite()) {
            let key = statistic_key(&format!("{objective}/{name}"));
            loss = Err(SkipReason::NotFinite(format!("{key} is not finite")));
        }
        let diagnostics = losses.diagnostics.into_iter();
        layout.push(ObjectiveLayout {
            objective: objective.into(),
            terms,
            measured,
            diagnostics: diagnostics
                .map(|(name, value)| (name.into(), value))
                .collect(),
        });
    }
    BatchLoss {
        loss,
        names,
        values: Some(Tensor::cat(values, 0)),
        output: LossLayout(layout),
    }
}

impl LossLayout {
    /// The layout of a recorded step, which has no diagnostics that depend on targets, with those of a batch.
    pub(super) fn with_diagnostics(mut self, diagnostics: NamedDiagnostics) -> Self {
        for (objective, diagnostics) in diagnostics {
            let mut layouts = self.0.iter_mut();
            let Some(layout) = layouts.find(|layout| layout.objective == objective) else {
                continue;
            };
            for (name, value) in diagnostics {
                if layout.diagnostics.iter().all(|(other, _)| other != name) {
                    layout.diagnostics.push((name.into(), value));
                }
            }
        }
        self
    }
}

/// A micro-batch that is not finite, without values.
fn skipped_loss(reason: SkipReason) -> BatchLoss<LossLayout> {
    BatchLoss::new(Err(reason), LossLayout(vec![]))
}

/// The losses of a batch of which no sample could be read.
pub(super) fn empty_batch_loss(device: &Device) -> BatchLoss<LossLayout> {
    let reason = "no sample of the batch could be read".into();
    BatchLoss {
        loss: Err(SkipReason::NoGradient(reason)),
        ..batch_loss(vec![], device)
    }
}

/// The losses of a batch; a reason to skip the step for predictions that are not finite.
pub(super) fn finite_batch_loss(
    losses: Result<NamedLosses, ObjectiveError>,
    device: &Device,
) -> Result<BatchLoss<LossLayout>, VlpError> {
    match losses {
        Ok(losses) => Ok(batch_loss(losses, device)),
        Err(error @ ObjectiveError::NonFinite { .. }) => {
            Ok(skipped_loss(SkipReason::NotFinite(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

/// The total, and of each objective its weighted sum, its terms if it has several (without those of auxiliary layers), and
/// its statistics, from the values of [`batch_loss`] on the CPU.
pub(super) fn loss_values(layout: &LossLayout, values: &[f32]) -> Vec<LossValue> {
    if values.is_empty() {
        return vec![];
    }
    let (total, mut rest) = (values[0], &values[1..]);
    let shown = |name: &str, value: f32| LossValue {
        key: loss_key(name),
        name: Some(name.into()),
        value,
    };
    let mut read = vec![shown("loss", total)];
    for layout in &layout.0 {
        let objective = &layout.objective;
        let (values, others) = rest.split_at(layout.terms.len());
        let (measured, others) = others.split_at(layout.measured.len());
        rest = others;
        let terms = || layout.terms.iter().zip(values);
        let sum = terms().map(|(term, value)| term.weight * value);
        read.push(shown(objective, sum.sum()));
        let logged = |key: String, value: f32| LossValue {
            key,
            name: None,
            value,
        };
        if layout.terms.len() > 1 {
            let last_layer = terms().filter(|(term, _)| !term.is_auxiliary);
            read.extend(last_layer.map(|(term, value)| {
                logged(loss_key(&format!("{objective}/{}", term.name)), *value)
            }));
        }
        let statistic =
            |name: &str, value: f32| logged(statistic_key(&format!("{objective}/{name}")), value);
        let measured = layout.measured.iter().zip(measured);
        read.extend(measured.map(|(name, value)| statistic(name, *value)));
        let diagnostics = layout.diagnostics.iter();
        read.extend(diagnostics.map(|(name, value)| statistic(name, *value as f32)));
    }
    read
}

/// Means over `batches` accumulated batches, in the order of their first occurrence.
pub(super) fn mean_losses(losses: Vec<Vec<LossValue>>, batches: usize) -> Vec<LossValue> {
    let mut means: Vec<LossValue> = vec![];
    for loss in losses.into_iter().flatten() {
        let value = loss.value / batches as f32;
        match means.iter_mut().find(|mean| mean.key == loss.key) {
            Some(mean) => mean.value += value,
            None => means.push(LossValue { value, ..loss }),
        }
    }
    means
}
