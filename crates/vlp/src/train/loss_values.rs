//! Loss values as numbers.

use burn::prelude::*;
use vlp_objectives::{NamedLosses, total};
use vlp_train::{BatchLoss, SkipReason};

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

/// The loss of a batch, of which the total and all terms are reported.
pub(super) fn batch_loss(mut losses: NamedLosses, device: &Device) -> BatchLoss<NamedLosses> {
    let total = total(&losses).unwrap_or_else(|| Tensor::zeros([1], device));
    let (mut names, mut values) = (
        vec![loss_key("loss")],
        vec![total.clone().without_autodiff()],
    );
    let mut loss = Ok(total);
    for (objective, losses) in &mut losses {
        for term in &mut losses.terms {
            term.value = term.value.clone().without_autodiff();
            names.push(loss_key(&format!("{objective}/{}", term.name)));
            values.push(term.value.clone());
        }
        let mut diagnostics = losses.diagnostics.iter();
        if let Some((name, _)) = diagnostics.find(|(_, value)| !value.is_finite()) {
            let key = statistic_key(&format!("{objective}/{name}"));
            loss = Err(SkipReason::NotFinite(format!("{key} is not finite")));
        }
    }
    BatchLoss {
        loss,
        names,
        values: Some(Tensor::cat(values, 0)),
        output: losses,
    }
}

/// The total, and of each objective its weighted sum, its terms if it has several (without those of auxiliary layers), and
/// its statistics, from the values of [`batch_loss`] on the CPU.
pub(super) fn loss_values(losses: &NamedLosses, values: &[f32]) -> Vec<LossValue> {
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
    for (objective, losses) in losses {
        let (values, others) = rest.split_at(losses.terms.len());
        rest = others;
        let terms = || losses.terms.iter().zip(values);
        let sum = terms().map(|(term, value)| term.weight as f32 * value);
        read.push(shown(objective, sum.sum()));
        let logged = |key: String, value: f32| LossValue {
            key,
            name: None,
            value,
        };
        if losses.terms.len() > 1 {
            let last_layer = terms().filter(|(term, _)| term.layer.is_none());
            read.extend(last_layer.map(|(term, value)| {
                logged(loss_key(&format!("{objective}/{}", term.name)), *value)
            }));
        }
        read.extend(losses.diagnostics.iter().map(|(name, value)| {
            logged(statistic_key(&format!("{objective}/{name}")), *value as f32)
        }));
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
