//! Checks of configuration values that their types do not express.

use std::fmt::Display;

use crate::error::ObjectiveError;

/// Properties of the run that the configurations of objectives are checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunContext {
    /// Whether the model has a decoder.
    pub has_decoder: bool,
    /// Whether the model has a visual dictionary.
    pub has_dictionary: bool,
    /// Whether a batch pairs every image with every text.
    pub all_pairs: bool,
    /// Number of texts of each image in a batch.
    pub texts_per_image: usize,
}

/// Checks of one objective's configuration, except for its weight.
pub(crate) trait Validate {
    fn validate(&self, _check: &Check, _run: &RunContext) -> Result<(), ObjectiveError> {
        Ok(())
    }
}

/// Checks of single values, by the name of their objective.
pub(crate) struct Check(pub(crate) &'static str);

impl Check {
    pub(crate) fn fail(
        &self,
        key: &'static str,
        value: impl Display,
        hint: impl Into<String>,
    ) -> Result<(), ObjectiveError> {
        Err(ObjectiveError::Config {
            objective: self.0,
            key,
            value: value.to_string(),
            hint: hint.into(),
        })
    }

    pub(crate) fn at_least(
        &self,
        key: &'static str,
        value: usize,
        minimum: usize,
        reason: &str,
    ) -> Result<(), ObjectiveError> {
        match value >= minimum {
            true => Ok(()),
            false => self.fail(key, value, format!("use at least {minimum}{reason}")),
        }
    }

    pub(crate) fn fraction(&self, key: &'static str, value: f64) -> Result<(), ObjectiveError> {
        match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => self.fail(key, value, "use a value between 0 and 1"),
        }
    }

    /// `usual` is a value that is used, and by whom.
    pub(crate) fn weight(
        &self,
        key: &'static str,
        value: f64,
        usual: &str,
    ) -> Result<(), ObjectiveError> {
        let hint = format!("use a finite weight of at least 0 ({usual})");
        match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => self.fail(key, value, hint),
        }
    }

    pub(crate) fn needs(&self, is_met: bool, hint: &'static str) -> Result<(), ObjectiveError> {
        let objective = self.0;
        match is_met {
            true => Ok(()),
            false => Err(ObjectiveError::Unusable { objective, hint }),
        }
    }

    pub(crate) fn needs_decoder(&self, run: &RunContext) -> Result<(), ObjectiveError> {
        let hint = "needs a decoder: set model.decoder_layers, for example to 2, or switch the objective off";
        self.needs(run.has_decoder, hint)
    }
}
