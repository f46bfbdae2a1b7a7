//! Values of a step that are read at once.

use burn::prelude::*;
use vlp_ops::to_cpu;

use super::SkipReason;
use super::micro_batch::MicroBatch;

/// The values of each micro-batch, and the norm `[1]` of the gradients if there are some, read with one copy to the CPU.
pub(super) fn read<T>(batches: &mut [MicroBatch<T>], norm: Option<Tensor<1>>) -> f32 {
    let tensors = batches.iter().filter_map(|batch| batch.unread.clone());
    let has_norm = norm.is_some();
    let tensors: Vec<Tensor<1>> = tensors.chain(norm).collect();
    let mut read: Vec<f32> = match tensors.is_empty() {
        true => vec![],
        false => to_cpu(Tensor::cat(tensors, 0)).iter().collect(),
    };
    let norm = if has_norm { read.pop() } else { None };
    for batch in batches {
        if let Some(unread) = batch.unread.take() {
            let rest = read.split_off(unread.dims()[0]);
            batch.values = std::mem::replace(&mut read, rest);
        }
    }
    norm.unwrap_or(0.0)
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
