//! Losses and outputs that both sides must agree on.

use burn::prelude::*;

/// Outputs of a run by name, computed later: that is not timed.
pub(crate) type Outputs = Vec<(String, Output)>;

/// A number, or a function that computes it.
pub(crate) struct Output(Box<dyn FnOnce() -> f64>);

impl Output {
    /// A known number.
    pub(crate) fn number(value: f64) -> Self {
        Self(Box::new(move || value))
    }

    /// A number computed on request.
    pub(crate) fn later(value: impl FnOnce() -> f64 + 'static) -> Self {
        Self(Box::new(value))
    }

    /// The value of a tensor of one, the digest of any other.
    pub(crate) fn tensor<const D: usize>(tensor: Tensor<D>) -> Self {
        Self::later(move || {
            let values: Vec<f64> = tensor.into_data().iter().collect();
            match values[..] {
                [one] => one,
                _ => digest(&values),
            }
        })
    }

    /// Computes the number.
    pub(crate) fn value(self) -> f64 {
        (self.0)()
    }
}

/// Root of the mean of `x[i]^2 (1 + cos i)`: it changes with the order of the values.
pub(crate) fn digest(values: &[f64]) -> f64 {
    let terms = values.iter().enumerate();
    let sum: f64 = terms.map(|(i, x)| x * x * (1.0 + (i as f64).cos())).sum();
    (sum / values.len() as f64).sqrt()
}
