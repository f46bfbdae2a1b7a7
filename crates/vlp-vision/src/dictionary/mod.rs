//! A visual dictionary that learns on the fly (SOHO, section 3.2): every feature takes the nearest row of a
//! table, and the rows follow the features that took them.

mod config;
mod health;
mod update;

use burn::module::{Flag, Param, RunningState};
use burn::prelude::*;
use burn::tensor::FloatDType;
use vlp_ops::nearest;

pub use config::{DictionaryConfig, UpdateRule};
pub use health::Health;

use crate::error::VisionError;

/// The table with what its update needs; it has no parameter that a gradient reaches.
///
/// Its state is named `running_*`, as that of a batch norm: it moves in every forward pass on an autodiff
/// device, not in inference, and not after `freeze`.
#[derive(Module, Debug)]
pub struct VisualDictionary {
    /// `[codes, width]`.
    pub(crate) running_codes: RunningState<Tensor<2>>,
    /// Running counts `[codes]` of the released rule.
    pub(crate) running_counts: RunningState<Tensor<1>>,
    /// Running sums `[codes, width]` of the released rule.
    pub(crate) running_sums: RunningState<Tensor<2>>,
    /// Moving average of how many features of a batch take each code, `[codes]`.
    pub(crate) running_usage: RunningState<Tensor<1>>,
    /// Updates so far and codes restarted so far, `[2]`.
    pub(crate) running_totals: RunningState<Tensor<1>>,
    training: Param<Flag>,
    #[module(skip)]
    config: DictionaryConfig,
}

/// Features after the look-up.
#[derive(Debug, Clone)]
pub struct Quantised {
    /// The nearest rows `[features, width]`; their gradient goes to the features unchanged.
    pub states: Tensor<2>,
    /// Number of the nearest row, `[features]`.
    pub codes: Tensor<1, Int>,
    /// The whole table after its update, `[codes, width]`, f32, without gradient.
    pub table: Tensor<2>,
}

impl VisualDictionary {
    pub(crate) fn new(config: &DictionaryConfig, width: usize, device: &Device) -> Self {
        let normal = burn::tensor::Distribution::Normal(0.0, 1.0);
        let codes = config.codes;
        let options = (device, FloatDType::F32.into());
        Self {
            running_codes: RunningState::new(Tensor::random([codes, width], normal, options)),
            running_counts: RunningState::new(Tensor::zeros([codes], options)),
            running_sums: RunningState::new(Tensor::zeros([codes, width], options)),
            running_usage: RunningState::new(Tensor::zeros([codes], options)),
            running_totals: RunningState::new(Tensor::zeros([2], options)),
            training: Param::from_bool(true),
            config: config.clone(),
        }
    }

    /// The table as it is, `[codes, width]`, f32, without gradient.
    pub fn table(&self) -> Tensor<2> {
        let table = self.running_codes.value_sync().without_autodiff();
        table.cast(FloatDType::F32)
    }

    /// Number of the row nearest to each of `features` `[features, width]` by Euclidean distance; of equally near
    /// ones the first.
    pub fn nearest(&self, features: Tensor<2>) -> Tensor<1, Int> {
        let features = features.without_autodiff();
        nearest(features.cast(FloatDType::F32), self.table())
    }

    /// Looks `features` `[features, width]` up and, in training, lets the table follow them.
    ///
    /// `weights` `[features]` says how often each counts for the update: 0 for padding, more than once for a
    /// picture that stands in the batch several times. Distances and update are f32 whatever the features are.
    ///
    /// # Errors
    /// [`VisionError::Dictionary`] where the first batch is to fill the table and has too few features.
    pub fn forward(
        &self,
        features: Tensor<2>,
        weights: Option<Tensor<1>>,
    ) -> Result<Quantised, VisionError> {
        let training = features.device().is_autodiff() && self.training.is_enabled();
        let seen = features.clone().without_autodiff().cast(FloatDType::F32);
        let (codes, table) = match training {
            true => {
                let weights = weights.map(|w| w.without_autodiff().cast(FloatDType::F32));
                self.learn(seen.clone(), weights)?
            }
            false => {
                let table = self.table();
                (nearest(seen.clone(), table.clone()), table)
            }
        };
        let step = table.clone().select(0, codes.clone()) - seen;
        let step = step.cast(features.dtype());
        let on_graph = features.device().is_autodiff();
        let (step, codes) = match on_graph {
            true => (Tensor::from_inner(step), Tensor::from_inner(codes)),
            false => (step, codes),
        };
        Ok(Quantised {
            states: features + step,
            codes,
            table,
        })
    }
}
