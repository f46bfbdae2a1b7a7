//! Values of a step that are copied to the CPU together.

use burn::prelude::*;
use vlp_ops::to_cpu;

use super::SkipReason;
use super::micro_batch::MicroBatch;

/// Values of a step that have not been read: those of each micro-batch, then the norm of the gradients if there are any.
pub(super) struct Unread {
    values: Option<Tensor<1>>,
    has_norm: bool,
}

impl Unread {
    pub(super) fn new<T>(batches: &[MicroBatch<T>], norm: Option<Tensor<1>>) -> Self {
        let tensors = batches.iter().filter_map(|batch| batch.unread.clone());
        let has_norm = norm.is_some();
        let tensors: Vec<Tensor<1>> = tensors.chain(norm).collect();
        Self {
            values: (!tensors.is_empty()).then(|| Tensor::cat(tensors, 0)),
            has_norm,
        }
    }

    /// All values, `[1 or more]`, of which the last is the norm; `None` if there are no gradients.
    pub(super) fn with_norm(&self) -> Option<Tensor<1>> {
        self.values.clone().filter(|_| self.has_norm)
    }

    /// Copies all values to the CPU together and assigns them to their micro-batches. Returns the norm.
    pub(super) fn read<T>(self, batches: &mut [MicroBatch<T>]) -> f32 {
        let mut read: Vec<f32> = match self.values {
            Some(values) => to_cpu(values).iter().collect(),
            None => vec![],
        };
        let norm = if self.has_norm { read.pop() } else { None };
        for batch in batches {
            if let Some(unread) = batch.unread.take() {
                let rest = read.split_off(unread.dims()[0]);
                batch.values = std::mem::replace(&mut read, rest);
            }
        }
        norm.unwrap_or(0.0)
    }
}

/// The first micro-batch that is not finite, and why: by its loss, or by the values that were read.
pub(super) fn skip_reason<T>(batches: &[MicroBatch<T>]) -> Option<(usize, SkipReason)> {
    batches.iter().enumerate().find_map(|(index, batch)| {
        if let Some(reason @ SkipReason::NotFinite(_)) = &batch.reason {
            return Some((index, reason.clone()));
        }
        let position = batch.values.iter().position(|value| !value.is_finite())?;
        let name = batch.names.get(position).map_or("a value", String::as_str);
        let text = format!("{name} is not finite");
        Some((index, SkipReason::NotFinite(text)))
    })
}
