//! Loss values as numbers.

use burn::prelude::*;
use vlp_objectives::NamedLosses;

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

/// The total, and of each objective its weighted sum, its terms if it has several (without those of auxiliary layers), and
/// its statistics. One copy to the CPU.
pub(super) fn read_losses(losses: &NamedLosses, total: &Tensor<1>) -> Vec<LossValue> {
    let mut tensors = vec![total.clone().without_autodiff()];
    for (_, objective) in losses {
        let terms = objective.terms.iter();
        tensors.extend(terms.map(|term| term.value.clone().without_autodiff()));
    }
    let values: Vec<f32> = Tensor::cat(tensors, 0).into_data().iter().collect();
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
