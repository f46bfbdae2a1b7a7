//! Losses on the host, and the figure that a checkpoint is chosen by.

use burn::prelude::*;
use vlp_objectives::NamedLosses;
use vlp_objectives::tally::Score;

/// Mean of all figures: what the best checkpoint is chosen by.
pub(crate) fn mean(scores: &[Score]) -> f64 {
    let known: Vec<f64> = scores.iter().filter_map(|(_, value)| *value).collect();
    known.iter().sum::<f64>() / known.len().max(1) as f64
}

/// Values of the losses in one device-to-host copy: the total, each objective's weighted sum, and the terms
/// of objectives that have several (auxiliary layers left out).
pub(crate) fn host(losses: &NamedLosses, sum: &Tensor<1>) -> Vec<(String, f32)> {
    let mut tensors = vec![sum.clone().without_autodiff()];
    for (_, own) in losses {
        tensors.extend(
            own.terms
                .iter()
                .map(|(_, _, value)| value.clone().without_autodiff()),
        );
    }
    let values: Vec<f32> = Tensor::cat(tensors, 0).into_data().iter().collect();
    let mut found = vec![("total".to_string(), values[0])];
    let mut at = 1;
    for (objective, own) in losses {
        let values = &values[at..at + own.terms.len()];
        at += own.terms.len();
        let weighted = own
            .terms
            .iter()
            .zip(values)
            .map(|((_, weight, _), value)| *weight as f32 * value)
            .sum();
        found.push(((*objective).into(), weighted));
        if own.terms.len() > 1 {
            let shown = own
                .terms
                .iter()
                .zip(values)
                .filter(|((name, _, _), _)| !name.contains('.'));
            found
                .extend(shown.map(|((name, _, _), value)| (format!("{objective}.{name}"), *value)));
        }
        found.extend(
            own.report
                .iter()
                .map(|(name, value)| (format!("{objective}.{name}"), *value as f32)),
        );
    }
    found
}
