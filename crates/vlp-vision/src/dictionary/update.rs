//! The update of the codebook from a batch of features.
//!
//! The number of updates is a value on the device, and nothing is copied to or from a GPU, so that a training step can be
//! recorded.

use burn::module::RunningState;
use burn::prelude::*;
use burn::tensor::FloatDType;

use vlp_ops::{constant_floats, nearest_code, segment_sum};

use super::candidates::Candidates;
use super::decay::Decay;
use super::initial::initial_codes;
use super::{UpdateRule, VisualDictionary};
use crate::error::VisionError;

/// Laplace smoothing of [`UpdateRule::Released`].
const SMOOTHING: f64 = 1e-5;
/// Decay of the moving average of usage.
const USAGE_DECAY: f64 = 0.99;

pub(super) fn store<const D: usize>(state: &RunningState<Tensor<D>>, value: Tensor<D>) {
    let value = match state.value().is_autodiff() {
        true => Tensor::from_inner(value),
        false => value,
    };
    state.update(value);
}

pub(super) fn load<const D: usize>(state: &RunningState<Tensor<D>>) -> Tensor<D> {
    let value = state.value_sync().without_autodiff();
    value.cast(FloatDType::F32)
}

/// Weighted features of each code, of one batch or with moving averages.
pub(super) struct CodeSums {
    /// Sums of their weights, `[codes]`.
    pub(super) counts: Tensor<1>,
    /// Sums of the features, `[codes, width]`.
    pub(super) sums: Tensor<2>,
}

impl CodeSums {
    pub(super) fn new(
        features: &Tensor<2>,
        weights: &Tensor<1>,
        codes: &Tensor<1, Int>,
        rows: usize,
    ) -> Self {
        let weights: Tensor<2> = weights.clone().unsqueeze_dim(1);
        let weighted = features.clone() * weights.clone();
        Self {
            counts: segment_sum(weights, codes.clone(), rows).squeeze_dim(1),
            sums: segment_sum(weighted, codes.clone(), rows),
        }
    }

    /// The codes of [`UpdateRule::Released`]: sums over smoothed counts.
    fn smoothed_means(&self) -> Tensor<2> {
        // Along an axis, since burn adds up a whole tensor in no fixed order on a GPU.
        let total = self.counts.clone().sum_dim(0);
        let smoothing = SMOOTHING * self.counts.dims()[0] as f64;
        let smoothed = (self.counts.clone() + SMOOTHING) * (total.clone() / (total + smoothing));
        self.sums.clone() / smoothed.unsqueeze_dim(1)
    }
}

/// The state before an update.
pub(super) struct Current {
    /// `[codes, width]`.
    pub(super) codebook: Tensor<2>,
    /// Number of updates and of restarted codes so far, `[2]`.
    pub(super) totals: Tensor<1>,
}

impl Current {
    /// Number of updates so far, `[1]`.
    pub(super) fn updates(&self) -> Tensor<1> {
        self.totals.clone().narrow(0, 0, 1)
    }
}

/// The state after an update.
struct Updated {
    /// `[codes, width]`.
    codebook: Tensor<2>,
    /// Moving average of usage, `[codes]`.
    usage: Tensor<1>,
    /// Running counts and sums of [`UpdateRule::Released`].
    running: Option<CodeSums>,
}

impl VisualDictionary {
    pub(super) fn current(&self) -> Current {
        Current {
            codebook: load(&self.running_codes),
            totals: load(&self.running_totals),
        }
    }

    /// Assigns codes with the codebook before the update; returns them and the codebook after it.
    pub(super) fn learn(
        &self,
        features: Tensor<2>,
        weights: Option<Tensor<1>>,
    ) -> Result<(Tensor<1, Int>, Tensor<2>), VisionError> {
        let mut current = self.current();
        if self.takes_initial_codes(&current.totals) {
            current.codebook = initial_codes(&self.config, &features, &weights)?;
        }
        let codes = nearest_code(features.clone(), current.codebook.clone());
        let weights = weights.unwrap_or_else(|| ones(&features));
        let rows = current.codebook.dims()[0];
        let sums = CodeSums::new(&features, &weights, &codes, rows);
        let updates = current.updates();
        let candidates = || Candidates::new(&features, &weights, rows, &updates);
        let codebook = self.update(current, sums, candidates);
        Ok((codes, codebook))
    }

    /// Moves the codes of the codebook towards their features and restarts dead ones. Returns the new codebook.
    ///
    /// Reads each state once and writes it once, so that batches on other threads never see a partial update.
    pub(super) fn update(
        &self,
        current: Current,
        sums: CodeSums,
        candidates: impl FnOnce() -> Candidates,
    ) -> Tensor<2> {
        let config = &self.config;
        let updates = current.updates();
        let Current { codebook, totals } = current;
        let CodeSums { counts, sums } = sums;
        let (device, rows) = (codebook.device(), codebook.dims()[0]);
        let decay = Decay::of_codes(config, &updates);
        let (codebook, running) = match config.update {
            UpdateRule::Paper => {
                let codebook = move_towards_means(codebook, counts.clone(), sums, &decay);
                (codebook, None)
            }
            UpdateRule::Released => {
                let running = CodeSums {
                    counts: decay.average(load(&self.running_counts), counts.clone()),
                    sums: decay.average(load(&self.running_sums), sums),
                };
                (running.smoothed_means(), Some(running))
            }
        };
        // The average begins with the counts of the first update, which restarts no code. Products with 0 and 1 are exact.
        let is_later = updates.clamp_max(1.0);
        let is_first = is_later.clone().neg().add_scalar(1.0);
        let usage = load(&self.running_usage);
        let usage = Decay::constant(USAGE_DECAY).average(usage, counts.clone());
        let mut updated = Updated {
            codebook,
            usage: usage * is_later.clone() + counts * is_first,
            running,
        };
        let constant = |values: &[f32]| constant_floats(values, &device).cast(FloatDType::F32);
        let mut added = constant(&[1.0, 0.0]);
        if config.dead_code_threshold > 0.0 {
            let threshold = is_later.mul_scalar(config.dead_code_threshold);
            let dead = updated.usage.clone().lower(threshold.expand([rows]));
            let count;
            (updated, count) = self.restart_dead_codes(updated, dead, candidates());
            added = Tensor::cat(vec![constant(&[1.0]), count], 0);
        }
        if let Some(running) = updated.running {
            store(&self.running_counts, running.counts);
            store(&self.running_sums, running.sums);
        }
        store(&self.running_usage, updated.usage);
        store(&self.running_totals, totals + added);
        store(&self.running_codes, updated.codebook.clone());
        updated.codebook
    }

    /// Replaces dead codes by their candidates, if these are valid; returns the number of replaced codes, too.
    fn restart_dead_codes(
        &self,
        updated: Updated,
        dead: Tensor<1, Bool>,
        candidates: Candidates,
    ) -> (Updated, Tensor<1>) {
        let shape = updated.codebook.dims();
        // A replaced code counts as one that is used.
        let usage = 2.0 * self.config.dead_code_threshold;
        let dead = dead.bool_and(candidates.is_valid);
        let count = dead.clone().float().sum_dim(0).cast(FloatDType::F32);
        let dead_rows = dead.clone().unsqueeze_dim::<2>(1).expand(shape);
        let replacements = candidates.features;
        let running = updated.running.map(|running| {
            let sums = replacements.clone().mul_scalar(usage);
            CodeSums {
                counts: running.counts.mask_fill(dead.clone(), usage),
                sums: running.sums.mask_where(dead_rows.clone(), sums),
            }
        });
        let updated = Updated {
            codebook: updated.codebook.mask_where(dead_rows, replacements),
            usage: updated.usage.mask_fill(dead, usage),
            running,
        };
        (updated, count)
    }
}

/// [`UpdateRule::Paper`]: `decay * code + (1 - decay) * mean of its features` for codes with features.
fn move_towards_means(
    codebook: Tensor<2>,
    counts: Tensor<1>,
    sums: Tensor<2>,
    decay: &Decay,
) -> Tensor<2> {
    let shape = codebook.dims();
    let unused = counts.clone().lower_equal_elem(0.0);
    let means = sums / counts.mask_fill(unused.clone(), 1.0).unsqueeze_dim(1);
    let moved = decay.average(codebook.clone(), means);
    moved.mask_where(unused.unsqueeze_dim::<2>(1).expand(shape), codebook)
}

/// Weights of features that count once.
pub(super) fn ones(features: &Tensor<2>) -> Tensor<1> {
    let options = (&features.device(), FloatDType::F32.into());
    Tensor::ones([features.dims()[0]], options)
}
