//! What a dictionary is and how it learns.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::VisualDictionary;
use crate::error::VisionError;

/// How rows follow the features that took them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateRule {
    /// SOHO, equation 3: a row moves towards the mean of its features; a row without features stays.
    Paper,
    /// SOHO's released code: running counts and sums from zero, rows are their quotient with Laplace smoothing.
    /// Rows without features become zero at the first update and later drift there.
    Released,
}

/// Configuration of a [`VisualDictionary`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DictionaryConfig {
    /// Rows; 2048 in SOHO.
    pub codes: usize,
    /// The paper's rule or the released code's.
    pub update: UpdateRule,
    /// Share that a row keeps of itself at an update. Not known of the paper; 0.4 in the released configuration.
    pub decay: f64,
    /// Raise the share from 0 by this much an update until it is `decay`, as the released code means to but does
    /// not; 0 for none.
    pub ramp: f64,
    /// Let padded cells count too; true in the released code.
    pub count_padding: bool,
    /// Start from features of the first batch instead of random rows; false in SOHO.
    pub start_from_batch: bool,
    /// Restart a row from a random feature where its moving average of features a batch falls below this; 0 for
    /// never, as in SOHO.
    pub restart_below: f64,
}

impl DictionaryConfig {
    /// A dictionary of `codes` rows that learns by the paper's rule.
    pub fn new(codes: usize) -> Self {
        Self {
            codes,
            update: UpdateRule::Paper,
            decay: 0.99,
            ramp: 0.0,
            count_padding: false,
            start_from_batch: false,
            restart_below: 0.0,
        }
    }

    /// Says what is wrong with impossible values.
    ///
    /// # Errors
    /// [`VisionError::Dictionary`] with key, value and what would do.
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
                    "use a share between 0 and 1 (decay 0.99, ramp 0)",
                );
            }
        }
        if !self.restart_below.is_finite() || self.restart_below < 0.0 {
            let hint = "use 0 for never, or a number of features a batch (1, say)";
            return fail("restart_below", self.restart_below.to_string(), hint);
        }
        Ok(())
    }

    /// Builds the dictionary for features of `width`, with rows of N(0, 1).
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub fn init(&self, width: usize, device: &Device) -> Result<VisualDictionary, VisionError> {
        self.validate()?;
        Ok(VisualDictionary::new(self, width, device))
    }
}
