//! One update for all micro-batches of a step.

use burn::module::RunningState;
use burn::prelude::*;
use burn::tensor::FloatDType;
use vlp_ops::{constant_floats, init_weights, micro_batch, nearest_code};

use super::VisualDictionary;
use super::candidates::Candidates;
use super::initial::initial_codes;
use super::update::{CodeSums, load, ones, store};
use crate::error::VisionError;

/// Contributions of the current step's micro-batches to the update at its end; zeros between steps. They are additive, so
/// that sums and means over micro-batches can be computed anywhere.
#[derive(Module, Debug)]
pub(super) struct StepUpdate {
    /// Counts of [`CodeSums`], `[codes]`.
    running_counts: RunningState<Tensor<1>>,
    /// Sums of [`CodeSums`], `[codes, width]`.
    running_sums: RunningState<Tensor<2>>,
    /// New codes, each from one micro-batch, `[codes, width]`: the initial ones, or candidates for dead ones.
    running_candidates: RunningState<Tensor<2>>,
    /// 1 where the candidate is valid, `[codes]`.
    running_valid: RunningState<Tensor<1>>,
}

init_weights!(StepUpdate {
    running_counts = Zeros,
    running_sums = Zeros,
    running_candidates = Zeros,
    running_valid = Zeros
});

impl StepUpdate {
    pub(super) fn new(codes: usize, width: usize, device: &Device) -> Self {
        let options = (device, FloatDType::F32.into());
        let vector = || RunningState::new(Tensor::zeros([codes], options));
        let matrix = || RunningState::new(Tensor::zeros([codes, width], options));
        Self {
            running_counts: vector(),
            running_sums: matrix(),
            running_candidates: matrix(),
            running_valid: vector(),
        }
    }
}

impl VisualDictionary {
    /// Assigns codes with the codebook at the start of the step and adds to the update at its end; returns the codes
    /// and the codebook. In the very first step of a dictionary that is initialized from data, each micro-batch has its
    /// own codebook.
    pub(super) fn add_to_step(
        &self,
        step: &StepUpdate,
        features: Tensor<2>,
        weights: Option<Tensor<1>>,
    ) -> Result<(Tensor<1, Int>, Tensor<2>), VisionError> {
        let mut current = self.current();
        let is_initial = self.takes_initial_codes(&current.totals);
        if is_initial {
            current.codebook = initial_codes(&self.config, &features, &weights)?;
        }
        let updates = current.updates();
        let codebook = current.codebook;
        let codes = nearest_code(features.clone(), codebook.clone());
        let weights = weights.unwrap_or_else(|| ones(&features));
        let rows = codebook.dims()[0];
        let sums = CodeSums::new(&features, &weights, &codes, rows);
        add(&step.running_counts, sums.counts);
        add(&step.running_sums, sums.sums);
        let candidates = match is_initial {
            true => Some(Candidates {
                features: codebook.clone(),
                is_valid: ones(&codebook).bool(),
            }),
            false if self.config.dead_code_threshold > 0.0 => {
                Some(Candidates::new(&features, &weights, rows, &updates))
            }
            false => None,
        };
        if let Some(candidates) = candidates {
            let selected = rows_of_micro_batch(rows, &features.device());
            let is_valid = candidates.is_valid.float().cast(FloatDType::F32) * selected;
            let candidates = candidates.features * is_valid.clone().unsqueeze_dim(1);
            add(&step.running_candidates, candidates);
            add(&step.running_valid, is_valid);
        }
        Ok((codes, codebook))
    }

    /// Updates the codebook with the features of a step, for [`UpdateTime::Step`](super::UpdateTime::Step); the running
    /// state is the mean over `micro_batches`. Does nothing in a dictionary that is frozen or updated in each forward
    /// pass.
    pub fn end_step(&self, micro_batches: usize) {
        let Some(step) = self.step.as_ref().filter(|_| self.training.is_enabled()) else {
            return;
        };
        let count = micro_batches as f64;
        let sums = CodeSums {
            counts: take(&step.running_counts).mul_scalar(count),
            sums: take(&step.running_sums).mul_scalar(count),
        };
        let features = take(&step.running_candidates).mul_scalar(count);
        let is_valid = take(&step.running_valid).greater_elem(0.0);
        let mut current = self.current();
        if self.takes_initial_codes(&current.totals) {
            current.codebook = features.clone();
        }
        self.update(current, sums, || Candidates { features, is_valid });
    }
}

/// Adds to the contributions of the micro-batch's other images.
fn add<const D: usize>(state: &RunningState<Tensor<D>>, value: Tensor<D>) {
    store(state, load(state) + value);
}

/// Returns the value and resets it to zero.
fn take<const D: usize>(state: &RunningState<Tensor<D>>) -> Tensor<D> {
    let value = load(state);
    store(state, value.zeros_like());
    // Later reads by any thread see the zeros.
    state.value_sync();
    value
}

/// 1 for the codes whose candidates come from this micro-batch, `[codes]`.
fn rows_of_micro_batch(codes: usize, device: &Device) -> Tensor<1> {
    let (index, count) = micro_batch();
    let rows = (0..codes).map(|code| f32::from(u8::from(code % count == index)));
    let rows: Vec<f32> = rows.collect();
    constant_floats(&rows, device).cast(FloatDType::F32)
}
