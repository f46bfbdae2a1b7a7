//! SOHO's visual dictionary (section 3.2): every feature is assigned the nearest code of a codebook, and in training the
//! codes are updated by a moving average of their features.

mod candidates;
mod config;
mod decay;
mod initial;
mod step;
mod update;
mod usage;

use burn::module::{Flag, Param, RunningState};
use burn::prelude::*;
use burn::tensor::FloatDType;
use vlp_ops::{init_weights, nearest_code};

pub use config::{DictionaryConfig, UpdateRule, UpdateTime};
pub use usage::CodebookUsage;

use crate::error::VisionError;
use initial::HasUpdates;
use step::StepUpdate;

/// The codebook with the state of its update, without trainable parameters.
///
/// Like the running statistics of a batch norm, the state changes in every forward pass on an autodiff device, but not in
/// inference and not after `freeze`.
#[derive(Module, Debug)]
pub struct VisualDictionary {
    /// `[codes, width]`.
    pub(crate) running_codes: RunningState<Tensor<2>>,
    /// Running counts `[codes]` of [`UpdateRule::Released`].
    pub(crate) running_counts: RunningState<Tensor<1>>,
    /// Running sums `[codes, width]` of [`UpdateRule::Released`].
    pub(crate) running_sums: RunningState<Tensor<2>>,
    /// Moving average of the number of features per batch, `[codes]`.
    pub(crate) running_usage: RunningState<Tensor<1>>,
    /// Number of updates and of restarted codes so far, `[2]`.
    pub(crate) running_totals: RunningState<Tensor<1>>,
    /// The current step of [`UpdateTime::Step`].
    step: Option<StepUpdate>,
    training: Param<Flag>,
    #[module(skip)]
    config: DictionaryConfig,
    #[module(skip)]
    has_updates: HasUpdates,
}

init_weights!(VisualDictionary {
    running_codes = Normal(1.0),
    running_counts = Zeros,
    running_sums = Zeros,
    running_usage = Zeros,
    running_totals = Zeros,
    step;
    training, config, has_updates
});

/// Quantized features.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// Nearest codes `[features, width]`, with a straight-through gradient to the features.
    pub states: Tensor<2>,
    /// Index of the nearest code, `[features]`.
    pub codes: Tensor<1, Int>,
    /// The codebook, after its update if it is updated in each forward pass, `[codes, width]`, f32, without gradient.
    pub codebook: Tensor<2>,
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
            step: (config.follow == UpdateTime::Step)
                .then(|| StepUpdate::new(codes, width, device)),
            training: Param::from_bool(true),
            config: config.clone(),
            has_updates: HasUpdates::default(),
        }
    }

    /// The codebook, `[codes, width]`, f32, without gradient.
    pub fn codebook(&self) -> Tensor<2> {
        let codebook = self.running_codes.value_sync().without_autodiff();
        codebook.cast(FloatDType::F32)
    }

    /// Index of the nearest code by Euclidean distance; ties go to the first.
    ///
    /// # Shapes
    /// - `features`: `[features, width]`
    /// - output: `[features]`
    pub fn nearest_codes(&self, features: Tensor<2>) -> Tensor<1, Int> {
        let features = features.without_autodiff();
        nearest_code(features.cast(FloatDType::F32), self.codebook())
    }

    /// Quantizes features and, in training, updates the codebook.
    ///
    /// `weights` is how often each feature counts in the update: 0 for padding, above 1 for an image that occurs several
    /// times in the batch. Distances and updates are in f32 for features of any type.
    ///
    /// # Shapes
    /// - `features`: `[features, width]`
    /// - `weights`: `[features]`
    ///
    /// # Errors
    /// [`VisionError::Dictionary`] with [`DictionaryConfig::init_from_data`] if the first batch has fewer features than
    /// codes.
    pub fn forward(
        &self,
        features: Tensor<2>,
        weights: Option<Tensor<1>>,
    ) -> Result<Quantized, VisionError> {
        let training = features.device().is_autodiff() && self.training.is_enabled();
        let values = features.clone().without_autodiff().cast(FloatDType::F32);
        let (codes, codebook) = match training {
            true => {
                let weights =
                    weights.map(|weights| weights.without_autodiff().cast(FloatDType::F32));
                match &self.step {
                    Some(step) => self.add_to_step(step, values.clone(), weights)?,
                    None => self.learn(values.clone(), weights)?,
                }
            }
            false => {
                let codebook = self.codebook();
                (nearest_code(values.clone(), codebook.clone()), codebook)
            }
        };
        // Straight-through: adds the difference to the features as a constant.
        let difference = codebook.clone().select(0, codes.clone()) - values;
        let difference = difference.cast(features.dtype());
        let (difference, codes) = match features.device().is_autodiff() {
            true => (Tensor::from_inner(difference), Tensor::from_inner(codes)),
            false => (difference, codes),
        };
        Ok(Quantized {
            states: features + difference,
            codes,
            codebook,
        })
    }
}
