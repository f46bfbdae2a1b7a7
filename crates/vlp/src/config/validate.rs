//! Checks of values that their types do not express, before anything is read or written.

use std::fmt::Display;

use vlp_objectives::RunContext;

use super::RunConfig;
use crate::error::VlpError;

/// Maximum of `data.pad_multiple`: the longest side of an image.
const MAX_PAD_MULTIPLE: usize = 16_384;

/// Maximum of `data.texts_per_image`.
const MAX_TEXTS: usize = 1000;

impl RunConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VlpError::Config`] with key, value and a valid value, or the error of the part that refuses it.
    pub fn validate(&self) -> Result<(), VlpError> {
        self.train.validate()?;
        self.validate_data()?;
        at_least("eval.examples", self.eval.examples, 1, " (256, say)")?;
        at_least("checkpoint.keep", self.checkpoint.keep, 1, "")?;
        self.validate_model()?;
        self.validate_objectives()?;
        if self.eval.rerank > 0 && self.objectives.itc.is_none() {
            let hint = "needs a contrastive head: set objectives.itc.dim (256 in ALBEF) as well";
            return fail("eval.rerank", self.eval.rerank, hint);
        }
        Ok(())
    }

    fn validate_data(&self) -> Result<(), VlpError> {
        let data = &self.data;
        data.kind()?;
        data.resize.check()?;
        if let Some(rule) = &data.eval_resize {
            rule.check()?;
        }
        at_least("data.batch_size", data.batch_size, 1, "")?;
        at_least(
            "data.max_text_len",
            data.max_text_len,
            3,
            ": [CLS], a token and [SEP]",
        )?;
        fraction("data.max_bad_fraction", data.max_bad_fraction)?;
        let validation = data.validation_fraction;
        if !(validation > 0.0 && validation < 1.0) {
            let hint = "use a value above 0 and below 1 (0.1, say)";
            return fail("data.validation_fraction", validation, hint);
        }
        at_least("data.pad_multiple", data.pad_multiple, 1, " (32 in SOHO)")?;
        at_most("data.pad_multiple", data.pad_multiple, MAX_PAD_MULTIPLE)?;
        let texts = data.texts_per_image;
        at_least("data.texts_per_image", texts, 1, " (4 in SOHO)")?;
        at_most("data.texts_per_image", texts, MAX_TEXTS)
    }

    fn validate_model(&self) -> Result<(), VlpError> {
        at_least("model.d_ff", self.model.d_ff(), 1, "")?;
        let dropout = self.model.dropout();
        fraction("model.dropout", dropout)?;
        if dropout == 1.0 {
            return fail("model.dropout", 1.0, "use less than 1 (0.1 in DETR)");
        }
        if self.train.data_parallel_halves && dropout > 0.0 {
            let hint = "train.data_parallel_halves needs 0: the threads would share a random number generator";
            return fail("model.dropout", dropout, hint);
        }
        if let Some(quantizer) = self.model.quantizer() {
            let valid = quantizer.dictionary.validate();
            valid.map_err(|e| VlpError::Config(format!("model.quantizer.{e}")))?;
        }
        Ok(())
    }

    fn validate_objectives(&self) -> Result<(), VlpError> {
        let run = RunContext {
            has_decoder: self.model.has_decoder(),
            has_dictionary: self.model.quantizer().is_some(),
            all_pairs: self.data.all_pairs,
            texts_per_image: self.data.texts_per_image,
        };
        let valid = self.objectives.validate(&run);
        valid.map_err(|e| VlpError::Config(format!("objectives.{e}")))
    }
}

fn fail<T>(key: &str, value: impl Display, hint: &str) -> Result<T, VlpError> {
    Err(VlpError::Config(format!("{key} = {value}: {hint}")))
}

fn at_least(key: &str, value: usize, minimum: usize, reason: &str) -> Result<(), VlpError> {
    match value >= minimum {
        true => Ok(()),
        false => fail(key, value, &format!("use at least {minimum}{reason}")),
    }
}

fn at_most(key: &str, value: usize, maximum: usize) -> Result<(), VlpError> {
    match value <= maximum {
        true => Ok(()),
        false => fail(key, value, &format!("use at most {maximum}")),
    }
}

fn fraction(key: &str, value: f64) -> Result<(), VlpError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => fail(key, value, "use a value between 0 and 1"),
    }
}
