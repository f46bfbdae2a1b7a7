//! The update of the codebook from a batch of features.

use std::sync::{Arc, Mutex, PoisonError};

use burn::module::RunningState;
use burn::prelude::*;
use burn::tensor::FloatDType;

use vlp_ops::{
    constant_floats, is_concurrent, is_cpu, is_same_tensor, nearest_code, segment_sum, split_mix,
    to_cpu,
};

use super::{DictionaryConfig, UpdateRule, VisualDictionary};
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

/// The totals after the last update, with the number of updates: while they are still the current totals, nobody needs
/// to read that number from a GPU.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownTotals(Arc<Mutex<Option<(Tensor<1>, f32)>>>);

impl KnownTotals {
    fn updates(&self, totals: &Tensor<1>) -> f32 {
        let totals_and_updates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*totals_and_updates {
            Some((tensor, updates)) if is_same_tensor(tensor, totals) => *updates,
            _ => to_cpu(totals.clone()).iter().next().unwrap_or_default(),
        }
    }

    fn set(&self, totals: Tensor<1>, updates: f32) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((totals, updates));
    }
}

/// Weighted features of each code.
pub(super) struct CodeSums {
    /// Sums of their weights, `[codes]`.
    pub(super) counts: Tensor<1>,
    /// Sums of the features, `[codes, width]`.
    pub(super) sums: Tensor<2>,
}

/// A random feature for each code, in case it is dead.
pub(super) struct Candidates {
    /// `[codes, width]`.
    pub(super) features: Tensor<2>,
    /// Whether a code has a candidate, `[codes]`: a dead code whose feature is padding is restarted at a later update.
    pub(super) is_valid: Tensor<1, Bool>,
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
}

impl Candidates {
    /// A pure function of (update, code), so that a resumed run chooses the same features.
    pub(super) fn new(
        features: &Tensor<2>,
        weights: &Tensor<1>,
        rows: usize,
        updates: u64,
    ) -> Self {
        let feature_count = features.dims()[0] as u64;
        let indices: Vec<i32> = (0..rows as u64)
            .map(|row| (split_mix(0, updates << 20 | row) % feature_count) as i32)
            .collect();
        let indices = Tensor::<1, Int>::from_ints(indices.as_slice(), &features.device());
        Self {
            is_valid: weights.clone().select(0, indices.clone()).greater_elem(0.0),
            features: features.clone().select(0, indices),
        }
    }
}

impl VisualDictionary {
    /// The codebook before an update, with the number of updates so far.
    pub(super) fn current(&self) -> (Tensor<2>, f32) {
        let totals = self.running_totals.value_sync().without_autodiff();
        (
            load(&self.running_codes),
            self.known_totals.updates(&totals),
        )
    }

    /// Assigns codes with the codebook before the update; returns them and the codebook after it.
    pub(super) fn learn(
        &self,
        features: Tensor<2>,
        weights: Option<Tensor<1>>,
    ) -> Result<(Tensor<1, Int>, Tensor<2>), VisionError> {
        let (mut codebook, updates) = self.current();
        if self.config.init_from_data && updates == 0.0 {
            codebook = initial_codes(&self.config, &features, &weights)?;
        }
        let codes = nearest_code(features.clone(), codebook.clone());
        let weights = weights.unwrap_or_else(|| ones(&features));
        let rows = codebook.dims()[0];
        let sums = CodeSums::new(&features, &weights, &codes, rows);
        let candidates = || Candidates::new(&features, &weights, rows, updates as u64);
        let codebook = self.update(codebook, sums, candidates, updates);
        Ok((codes, codebook))
    }

    /// Moves the codes of `codebook` towards their features and restarts dead ones. Returns the new codebook.
    pub(super) fn update(
        &self,
        mut codebook: Tensor<2>,
        sums: CodeSums,
        candidates: impl FnOnce() -> Candidates,
        updates: f32,
    ) -> Tensor<2> {
        let config = &self.config;
        let CodeSums { counts, sums } = sums;
        let device = codebook.device();
        let decay = match config.ramp > 0.0 {
            true => config.decay.min(config.ramp * f64::from(updates)),
            false => config.decay,
        };
        codebook = match config.update {
            UpdateRule::Paper => move_towards_means(codebook, counts.clone(), sums, decay),
            UpdateRule::Released => self.running_means(counts.clone(), sums, decay),
        };
        let is_first = updates == 0.0;
        let mut usage = match is_first {
            true => counts,
            false => {
                let usage = load(&self.running_usage).mul_scalar(USAGE_DECAY);
                usage + counts.mul_scalar(1.0 - USAGE_DECAY)
            }
        };
        let constant = |values: &[f32]| constant_floats(values, &device).cast(FloatDType::F32);
        let mut added = constant(&[1.0, 0.0]);
        if config.dead_code_threshold > 0.0 && !is_first {
            let count;
            (codebook, usage, count) = self.restart_dead_codes(codebook, usage, candidates());
            added = Tensor::cat(vec![constant(&[1.0]), count], 0);
        }
        store(&self.running_usage, usage);
        let totals = self.running_totals.value_sync().without_autodiff();
        store(&self.running_totals, totals.cast(FloatDType::F32) + added);
        // Where batches run concurrently, the totals are means over their threads, which are not known yet.
        if !is_cpu(&device) && !is_concurrent() {
            let totals = self.running_totals.value_sync().without_autodiff();
            self.known_totals.set(totals, updates + 1.0);
        }
        store(&self.running_codes, codebook.clone());
        codebook
    }

    /// [`UpdateRule::Released`]: running sums over smoothed running counts.
    fn running_means(&self, counts: Tensor<1>, sums: Tensor<2>, decay: f64) -> Tensor<2> {
        let update = 1.0 - decay;
        let counts = load(&self.running_counts).mul_scalar(decay) + counts.mul_scalar(update);
        let sums = load(&self.running_sums).mul_scalar(decay) + sums.mul_scalar(update);
        let total = counts.clone().sum();
        let smoothing = SMOOTHING * counts.dims()[0] as f64;
        let smoothed = (counts.clone() + SMOOTHING) * (total.clone() / (total + smoothing));
        store(&self.running_counts, counts);
        store(&self.running_sums, sums.clone());
        sums / smoothed.unsqueeze_dim(1)
    }

    /// Replaces codes of low usage by their candidates; returns codebook, usage and number of replaced codes.
    fn restart_dead_codes(
        &self,
        codebook: Tensor<2>,
        usage: Tensor<1>,
        candidates: Candidates,
    ) -> (Tensor<2>, Tensor<1>, Tensor<1>) {
        let shape = codebook.dims();
        let threshold = self.config.dead_code_threshold;
        let dead = usage.clone().lower_elem(threshold);
        let dead = dead.bool_and(candidates.is_valid);
        let count = dead.clone().float().sum().cast(FloatDType::F32);
        let dead_rows = dead.clone().unsqueeze_dim::<2>(1).expand(shape);
        let replacements = candidates.features;
        let usage = usage.mask_fill(dead.clone(), 2.0 * threshold);
        if self.config.update == UpdateRule::Released {
            let counts = load(&self.running_counts).mask_fill(dead, 2.0 * threshold);
            let sums = load(&self.running_sums).mask_where(
                dead_rows.clone(),
                replacements.clone().mul_scalar(2.0 * threshold),
            );
            store(&self.running_counts, counts);
            store(&self.running_sums, sums);
        }
        (codebook.mask_where(dead_rows, replacements), usage, count)
    }
}

/// [`UpdateRule::Paper`]: `decay * code + (1 - decay) * mean of its features` for codes with features.
fn move_towards_means(
    codebook: Tensor<2>,
    counts: Tensor<1>,
    sums: Tensor<2>,
    decay: f64,
) -> Tensor<2> {
    let shape = codebook.dims();
    let unused = counts.clone().lower_equal_elem(0.0);
    let means = sums / counts.mask_fill(unused.clone(), 1.0).unsqueeze_dim(1);
    let moved = codebook.clone().mul_scalar(decay) + means.mul_scalar(1.0 - decay);
    moved.mask_where(unused.unsqueeze_dim::<2>(1).expand(shape), codebook)
}

/// Weights of features that count once.
pub(super) fn ones(features: &Tensor<2>) -> Tensor<1> {
    let options = (&features.device(), FloatDType::F32.into());
    Tensor::ones([features.dims()[0]], options)
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
