//! Values of a step that are read at once.

use burn::prelude::*;
use vlp_ops::to_cpu;

use super::SkipReason;
use crate::deferred::Deferred;

/// Values of each batch and the norm of the gradients.
pub(super) struct StepValues {
    /// Names and values of each batch.
    pub(super) batches: Vec<(Vec<String>, Option<Tensor<1>>)>,
    /// Global norm `[1]`; `None` without gradients.
    pub(super) norm: Option<Tensor<1>>,
}

/// [`StepValues`] on the CPU.
pub(super) struct ReadValues {
    pub(super) batches: Vec<Vec<f32>>,
    pub(super) norm: f32,
    /// Of each batch, the name of the first value that is not finite.
    not_finite: Vec<Option<String>>,
}

impl StepValues {
    /// The update by these gradients, made if all values are finite; `None` without gradients.
    pub(super) fn deferred(&self, max_norm: f32) -> Option<Deferred> {
        let norm = self.norm.clone()?;
        let tensors = self.batches.iter().filter_map(|(_, values)| values.clone());
        Some(Deferred::new(norm, max_norm, tensors.collect()))
    }

    /// Reads all values, with one copy to the CPU.
    pub(super) fn read(self) -> ReadValues {
        let tensors = self.batches.iter().filter_map(|(_, values)| values.clone());
        let tensors: Vec<Tensor<1>> = tensors.chain(self.norm.clone()).collect();
        let mut values: Vec<f32> = match tensors.is_empty() {
            true => vec![],
            false => to_cpu(Tensor::cat(tensors, 0)).iter().collect(),
        };
        let norm = self.norm.and_then(|_| values.pop()).unwrap_or(0.0);
        let mut read = ReadValues {
            batches: vec![],
            norm,
            not_finite: vec![],
        };
        for (names, tensor) in self.batches {
            let count = tensor.map_or(0, |tensor| tensor.dims()[0]);
            let rest = values.split_off(count);
            let index = values.iter().position(|value| !value.is_finite());
            let name = index.map(|index| names.get(index).cloned());
            (read.not_finite).push(name.map(|name| name.unwrap_or_else(|| "a value".into())));
            read.batches.push(std::mem::replace(&mut values, rest));
        }
        read
    }
}

impl ReadValues {
    /// The first batch that is not finite, and why: as `reasons` of the batches say, or by its values.
    pub(super) fn skip_reason(
        &self,
        reasons: &[Option<SkipReason>],
    ) -> Option<(usize, SkipReason)> {
        let mut batches = reasons.iter().zip(&self.not_finite).enumerate();
        batches.find_map(|(index, (reason, name))| match (reason, name) {
            (Some(reason @ SkipReason::NotFinite(_)), _) => Some((index, reason.clone())),
            (_, Some(name)) => {
                let text = format!("{name} is not finite");
                Some((index, SkipReason::NotFinite(text)))
            }
            _ => None,
        })
    }
}
