//! One update of the table by a batch of features.

use burn::module::RunningState;
use burn::prelude::*;
use burn::tensor::{FloatDType, IndexingUpdateOp};

use vlp_ops::nearest;

use super::{DictionaryConfig, UpdateRule, VisualDictionary};
use crate::error::VisionError;

/// Laplace smoothing of the released rule.
const SMOOTHING: f64 = 1e-5;
/// Share kept by the moving average of usage, which only health and restarts read.
const USAGE: f64 = 0.99;

/// Replaces a state by a value without graph.
fn put<const D: usize>(state: &RunningState<Tensor<D>>, value: Tensor<D>) {
    let value = match state.value().is_autodiff() {
        true => Tensor::from_inner(value),
        false => value,
    };
    state.update(value);
}

fn get<const D: usize>(state: &RunningState<Tensor<D>>) -> Tensor<D> {
    let value = state.value_sync().without_autodiff();
    value.cast(FloatDType::F32)
}

impl VisualDictionary {
    /// Codes by the table before the update, and the table after it.
    pub(super) fn learn(
        &self,
        features: Tensor<2>,
        weights: Option<Tensor<1>>,
    ) -> Result<(Tensor<1, Int>, Tensor<2>), VisionError> {
        let config = &self.config;
        let mut table = get(&self.running_codes);
        let totals: Vec<f32> = get(&self.running_totals).into_data().iter().collect();
        let (updates, mut restarts) = (totals[0], totals[1]);
        if config.start_from_batch && updates == 0.0 {
            table = first_rows(config, &features, &weights)?;
        }
        let codes = nearest(features.clone(), table.clone());
        let [rows, width] = table.dims();
        let device = features.device();
        let options = (&device, FloatDType::F32.into());
        let weights = weights.unwrap_or_else(|| Tensor::ones([features.dims()[0]], options));
        let zeros = Tensor::<1>::zeros([rows], options);
        let counts = zeros.select_assign(0, codes.clone(), weights.clone(), IndexingUpdateOp::Add);
        let sums = Tensor::<2>::zeros([rows, width], options).select_assign(
            0,
            codes.clone(),
            features.clone() * weights.clone().unsqueeze_dim(1),
            IndexingUpdateOp::Add,
        );
        let decay = match config.ramp > 0.0 {
            true => config.decay.min(config.ramp * f64::from(updates)),
            false => config.decay,
        };
        table = match config.update {
            UpdateRule::Paper => towards_means(table, counts.clone(), sums, decay),
            UpdateRule::Released => self.quotient(counts.clone(), sums, decay),
        };
        let first = updates == 0.0;
        let usage = match first {
            true => counts,
            false => get(&self.running_usage).mul_scalar(USAGE) + counts.mul_scalar(1.0 - USAGE),
        };
        let usage = match config.restart_below > 0.0 && !first {
            true => {
                let (fresh, usage, count) =
                    self.restart(table, usage, &features, &weights, updates as u64);
                table = fresh;
                restarts += count;
                usage
            }
            false => usage,
        };
        put(&self.running_usage, usage);
        put(
            &self.running_totals,
            Tensor::from_floats([updates + 1.0, restarts], &device),
        );
        put(&self.running_codes, table.clone());
        Ok((codes, table))
    }

    /// The released rule: the quotient of running sums and smoothed running counts, for every row.
    fn quotient(&self, counts: Tensor<1>, sums: Tensor<2>, decay: f64) -> Tensor<2> {
        let follow = 1.0 - decay;
        let counts = get(&self.running_counts).mul_scalar(decay) + counts.mul_scalar(follow);
        let sums = get(&self.running_sums).mul_scalar(decay) + sums.mul_scalar(follow);
        let total = counts.clone().sum();
        let smooth = SMOOTHING * counts.dims()[0] as f64;
        let sizes = (counts.clone() + SMOOTHING) * (total.clone() / (total + smooth));
        put(&self.running_counts, counts);
        put(&self.running_sums, sums.clone());
        sums / sizes.unsqueeze_dim(1)
    }

    /// Puts random features of the batch into rows that hardly anything takes.
    fn restart(
        &self,
        table: Tensor<2>,
        usage: Tensor<1>,
        features: &Tensor<2>,
        weights: &Tensor<1>,
        updates: u64,
    ) -> (Tensor<2>, Tensor<1>, f32) {
        let [rows, width] = table.dims();
        let device = table.device();
        let count = features.dims()[0] as u64;
        // A pure function of (update, row): a resumed run restarts from the same features.
        let at: Vec<i32> = (0..rows as u64)
            .map(|row| (mix(updates << 20 | row) % count) as i32)
            .collect();
        let at = Tensor::<1, Int>::from_ints(at.as_slice(), &device);
        let real = weights.clone().select(0, at.clone()).greater_elem(0.0);
        let dead = usage
            .clone()
            .lower_elem(self.config.restart_below)
            .bool_and(real);
        let found = dead.clone().int().sum().into_scalar::<i64>() as f32;
        let wide = dead.clone().unsqueeze_dim::<2>(1).expand([rows, width]);
        let fresh = features.clone().select(0, at);
        let usage = usage.mask_fill(dead.clone(), 2.0 * self.config.restart_below);
        if self.config.update == UpdateRule::Released {
            let size = 2.0 * self.config.restart_below;
            let counts = get(&self.running_counts).mask_fill(dead, size);
            let sums = get(&self.running_sums);
            put(&self.running_counts, counts);
            put(
                &self.running_sums,
                sums.mask_where(wide.clone(), fresh.clone().mul_scalar(size)),
            );
        }
        (table.mask_where(wide, fresh), usage, found)
    }
}

/// The paper's rule: `d <- decay d + (1 - decay) mean of its features`, where it has any.
fn towards_means(table: Tensor<2>, counts: Tensor<1>, sums: Tensor<2>, decay: f64) -> Tensor<2> {
    let shape = table.dims();
    let unused = counts.clone().lower_equal_elem(0.0);
    let means = sums / counts.mask_fill(unused.clone(), 1.0).unsqueeze_dim(1);
    let moved = table.clone().mul_scalar(decay) + means.mul_scalar(1.0 - decay);
    moved.mask_where(unused.unsqueeze_dim::<2>(1).expand(shape), table)
}

/// Features spread evenly over those that count, one for each row.
fn first_rows(
    config: &DictionaryConfig,
    features: &Tensor<2>,
    weights: &Option<Tensor<1>>,
) -> Result<Tensor<2>, VisionError> {
    let count = features.dims()[0];
    let real: Vec<usize> = match weights {
        Some(weights) => {
            let weights: Vec<f32> = weights.clone().into_data().iter().collect();
            (0..count).filter(|&i| weights[i] > 0.0).collect()
        }
        None => (0..count).collect(),
    };
    if real.len() < config.codes {
        return Err(VisionError::Dictionary {
            key: "codes",
            value: config.codes.to_string(),
            hint: format!(
                "start_from_batch needs a feature for each row, the first batch has {}: use fewer codes, a larger batch, or start_from_batch = false",
                real.len()
            ),
        });
    }
    let at: Vec<i32> = (0..config.codes)
        .map(|row| real[row * real.len() / config.codes] as i32)
        .collect();
    let at = Tensor::<1, Int>::from_ints(at.as_slice(), &features.device());
    Ok(features.clone().select(0, at))
}

/// SplitMix64.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
