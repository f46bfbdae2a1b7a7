//! What both sides must agree on.

use burn::prelude::*;

/// Figures of a run by name, yet to be worked out: that is not timed.
pub(crate) type Figures = Vec<(String, Figure)>;

/// One of them.
pub(crate) struct Figure(Box<dyn FnOnce() -> f64>);

impl Figure {
    /// A figure that is known.
    pub(crate) fn number(value: f64) -> Self {
        Self(Box::new(move || value))
    }

    /// A figure that is worked out when it is asked for.
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

    /// Works it out.
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
