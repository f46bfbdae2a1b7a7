//! Initial codes from features.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::prelude::*;
use vlp_ops::to_cpu;

use super::{DictionaryConfig, VisualDictionary};
use crate::error::VisionError;

/// Whether the dictionary has been updated in an earlier step. Once it has, nobody reads the number of updates from a GPU. Shared
/// by the clones of a dictionary.
#[derive(Debug, Clone, Default)]
pub(super) struct HasUpdates(Arc<AtomicBool>);

impl HasUpdates {
    /// Whether this is the first update; `totals` are the current ones.
    fn is_first(&self, totals: &Tensor<1>) -> bool {
        if self.0.load(Ordering::Relaxed) {
            return false;
        }
        let totals = to_cpu(totals.clone());
        let updates: f32 = totals.iter().next().unwrap_or_default();
        // Only what was read counts: a step that is not finite is undone.
        self.0.store(updates > 0.0, Ordering::Relaxed);
        updates == 0.0
    }
}

impl VisualDictionary {
    /// Whether the codes are those of the first batch, before an update with these totals. The first two steps of a run
    /// read the answer from the device.
    pub(super) fn takes_initial_codes(&self, totals: &Tensor<1>) -> bool {
        self.config.init_from_data && self.has_updates.is_first(totals)
    }
}

/// A feature of positive weight for each code, evenly spaced.
pub(super) fn initial_codes(
    config: &DictionaryConfig,
    features: &Tensor<2>,
    weights: &Option<Tensor<1>>,
) -> Result<Tensor<2>, VisionError> {
    let count = features.dims()[0];
    let valid: Vec<usize> = match weights {
        Some(weights) => {
            let weights: Vec<f32> = to_cpu(weights.clone()).iter().collect();
            (0..count).filter(|&i| weights[i] > 0.0).collect()
        }
        None => (0..count).collect(),
    };
    if valid.len() < config.codes {
        return Err(VisionError::Dictionary {
            key: "codes",
            value: config.codes.to_string(),
            hint: format!(
                "init_from_data needs a feature for each code, and the first batch has {}: use fewer codes, a larger batch, or init_from_data = false",
                valid.len()
            ),
        });
    }
    let indices: Vec<i32> = (0..config.codes)
        .map(|code| valid[code * valid.len() / config.codes] as i32)
        .collect();
    let indices = Tensor::<1, Int>::from_ints(indices.as_slice(), &features.device());
    Ok(features.clone().select(0, indices))
}
