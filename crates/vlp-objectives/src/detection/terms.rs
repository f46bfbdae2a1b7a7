//! The terms of the detection loss from their means.

use burn::prelude::*;

use crate::objective::{Losses, Term};

/// Means of the four terms by layer, `[layers]`.
pub(super) type Means = [(&'static str, Tensor<1>); 4];

/// A term for each mean and layer, with the mean's weight.
pub(super) fn losses(weights: [f64; 4], means: Means, layers: usize) -> Losses {
    let terms = weighted(weights, means).flat_map(|(name, means, weight)| {
        (0..layers).map(move |layer| Term {
            name,
            layer: (layer + 1 < layers).then_some(layer),
            weight,
            value: means.clone().narrow(0, layer, 1),
        })
    });
    Losses {
        terms: terms.collect(),
        total: None,
        diagnostics: vec![],
        measured: vec![],
    }
}

/// [`losses`] whose total is a sum over layers; the terms have no gradient, which would take a GPU three kernels each.
pub(super) fn with_total(weights: [f64; 4], means: Means, layers: usize) -> Losses {
    let sums = weighted(weights, means.clone());
    let sums = sums.map(|(_, means, weight)| means.sum_dim(0).mul_scalar(weight));
    let total = sums.reduce(|sum, other| sum + other);
    let means = means.map(|(name, means)| (name, means.without_autodiff()));
    Losses {
        total,
        ..losses(weights, means, layers)
    }
}

/// The means with their weights.
fn weighted(
    weights: [f64; 4],
    means: Means,
) -> impl Iterator<Item = (&'static str, Tensor<1>, f64)> {
    let means = means.into_iter().zip(weights);
    means.map(|((name, means), weight)| (name, means, weight))
}
