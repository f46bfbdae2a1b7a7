//! Configuration of a dictionary.

use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};

use super::VisualDictionary;
use crate::error::VisionError;

/// Rule by which the codes are updated from the features assigned to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateRule {
    /// SOHO, equation 3: a code moves towards the mean of its features; a code without features stays.
    Paper,
    /// SOHO's released code: a code is the quotient of running sum and running count, which start at zero, with Laplace
    /// smoothing. Codes without features become zero at the first update and decay towards zero later.
    Released,
}

/// When the codes are updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateTime {
    /// In each forward pass, which then uses the updated codebook, as SOHO's released code does on one device. With several
    /// micro-batches per step, each updates its own copy of the codebook and the step ends with their mean: if one of M
    /// micro-batches has features of a code, the code moves 1/M as far.
    #[default]
    Batch,
    /// At the end of a step, from the features of all its micro-batches, as SOHO's released code sums them over its devices.
    /// The forward passes use the codebook at the start of the step, one update older than in the released code.
    Step,
}

/// Configuration of a [`VisualDictionary`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct DictionaryConfig {
    /// Number of codes; 2048 in SOHO.
    pub codes: usize,
    /// The paper's rule or the released code's.
    pub update: UpdateRule,
    /// Whether the codes are updated in each forward pass or at the end of a step.
    #[serde(default)]
    pub follow: UpdateTime,
    /// Decay of the moving average at each update, in `0..=1`. Not given in the paper; 0.4 in the released configuration,
    /// which updates twice in an optimizer step: 0.16 with `follow = "step"`.
    pub decay: f64,
    /// Increment per update, in `0..=1`, by which the decay rises from 0 to `decay`; 0 uses `decay` from the start, as the
    /// released code does (it defines such a ramp, but never calls it).
    pub ramp: f64,
    /// Include padded grid features in the update; true in the released code.
    pub count_padding: bool,
    /// Initialize the codes from features of the first batch instead of N(0, 1); false in SOHO.
    pub init_from_data: bool,
    /// Replace a code by a random feature when the moving average of its number of features per batch falls below this; 0
    /// for never, as in SOHO.
    pub dead_code_threshold: f64,
}

impl DictionaryConfig {
    /// A dictionary of `codes` codes with the paper's update rule.
    pub fn new(codes: usize) -> Self {
        Self {
            codes,
            update: UpdateRule::Paper,
            follow: UpdateTime::Batch,
            decay: 0.99,
            ramp: 0.0,
            count_padding: false,
            init_from_data: false,
            dead_code_threshold: 0.0,
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Dictionary`] for the first invalid value.
    pub fn validate(&self) -> Result<(), VisionError> {
        let fail = |key, value: String, hint: &str| {
            Err(VisionError::Dictionary {
                key,
                value,
                hint: hint.into(),
            })
        };
        if self.codes == 0 {
            return fail("codes", "0".into(), "use at least 1 (2048 in SOHO)");
        }
        for (key, value) in [("decay", self.decay), ("ramp", self.ramp)] {
            if !(0.0..=1.0).contains(&value) {
                return fail(
                    key,
                    value.to_string(),
                    "use a value between 0 and 1 (decay 0.99, ramp 0)",
                );
            }
        }
        if !self.dead_code_threshold.is_finite() || self.dead_code_threshold < 0.0 {
            let hint = "use 0 for never, or a number of features per batch such as 1";
            return fail(
                "dead_code_threshold",
                self.dead_code_threshold.to_string(),
                hint,
            );
        }
        Ok(())
    }

    /// Builds the dictionary for features of `width` channels, with codes from N(0, 1).
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn init(&self, width: usize, device: &Device) -> Result<VisualDictionary, VisionError> {
        self.validate()?;
        Ok(VisualDictionary::new(self, width, device))
    }
}
