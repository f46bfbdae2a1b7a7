//! Checks of values that their types do not express, before anything is read or written.

use std::fmt::Display;

use vlp_objectives::{CaptioningConfig, ItcConfig, ItmConfig};

use super::RunConfig;
use crate::error::VlpError;

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
        at_least("data.max_text_len", data.max_text_len, 3, MIN_TEXT)?;
        fraction("data.max_bad_fraction", data.max_bad_fraction)?;
        let validation = data.validation_fraction;
        if !(validation > 0.0 && validation < 1.0) {
            let hint = "use a value above 0 and below 1 (0.1, say)";
            return fail("data.validation_fraction", validation, hint);
        }
        at_least("data.pad_multiple", data.pad_multiple, 1, " (32 in SOHO)")?;
        let texts = data.texts_per_image;
        at_least("data.texts_per_image", texts, 1, " (4 in SOHO)")
    }

    fn validate_model(&self) -> Result<(), VlpError> {
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
        let objectives = &self.objectives;
        if let Some(itm) = &objectives.itm {
            self.validate_itm(itm)?;
        }
        if let Some(mlm) = &objectives.mlm {
            weight("mlm", mlm.weight)?;
            fraction("objectives.mlm.probability", mlm.probability)?;
        }
        if let Some(mvm) = &objectives.mvm {
            weight("mvm", mvm.weight)?;
            fraction("objectives.mvm.probability", mvm.probability)?;
            if self.model.quantizer().is_none() {
                let hint = "needs a visual dictionary: set model.quantizer (the soho presets have one), or switch it off with objectives.mvm=off";
                return fail("objectives.mvm", "{..}", hint);
            }
        }
        if let Some(itc) = &objectives.itc {
            self.validate_itc(itc)?;
        }
        if let Some(detection) = &objectives.detection {
            self.needs_decoder("detection")?;
            weight("detection", detection.weight)?;
        }
        if let Some(caption) = &objectives.caption {
            self.needs_decoder("caption")?;
            validate_caption(caption)?;
        }
        Ok(())
    }

    fn validate_itm(&self, itm: &ItmConfig) -> Result<(), VlpError> {
        let (key, negatives) = ("objectives.itm.negative_fraction", itm.negative_fraction);
        weight("itm", itm.weight)?;
        fraction(key, negatives)?;
        let texts = self.data.texts_per_image;
        if itm.balanced && !self.data.all_pairs && (negatives * texts as f64).fract() != 0.0 {
            let hint = format!(
                "of data.texts_per_image = {texts} that is not a whole number of texts: use another fraction, or objectives.itm.balanced = false"
            );
            return fail(key, negatives, &hint);
        }
        Ok(())
    }

    fn validate_itc(&self, itc: &ItcConfig) -> Result<(), VlpError> {
        weight("itc", itc.weight)?;
        at_least("objectives.itc.dim", itc.dim, 1, " (256 in ALBEF)")?;
        if itc.temperature.is_nan() || itc.temperature <= 0.0 {
            let hint = "use a temperature above 0 (0.07 in ALBEF)";
            return fail("objectives.itc.temperature", itc.temperature, hint);
        }
        if itc.hard_negatives && !self.data.all_pairs {
            let hint = "mines negatives among all pairs: set data.all_pairs=true as well";
            return fail("objectives.itc.hard_negatives", true, hint);
        }
        Ok(())
    }

    fn needs_decoder(&self, objective: &str) -> Result<(), VlpError> {
        if self.model.has_decoder() {
            return Ok(());
        }
        let hint = "needs a decoder: set model.decoder_layers (2, say), or switch it off";
        fail(&format!("objectives.{objective}"), "{..}", hint)
    }
}

/// Why texts have at least three tokens.
const MIN_TEXT: &str = ": [CLS], a token and [SEP]";

fn validate_caption(caption: &CaptioningConfig) -> Result<(), VlpError> {
    let key = "objectives.caption";
    weight("caption", caption.weight)?;
    let (tokens, beams) = (caption.max_new_tokens, caption.num_beams);
    at_least(&format!("{key}.max_new_tokens"), tokens, 3, MIN_TEXT)?;
    at_least(&format!("{key}.num_beams"), beams, 1, " (greedy)")?;
    if let Some(sampling) = &caption.sampling {
        if sampling.temperature.is_nan() || sampling.temperature <= 0.0 {
            let hint = "use a temperature above 0 (1 leaves the distribution unchanged)";
            let key = format!("{key}.sampling.temperature");
            return fail(&key, sampling.temperature, hint);
        }
        if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
            let hint = "use a value in (0, 1] (0.9 is usual)";
            return fail(&format!("{key}.sampling.top_p"), sampling.top_p, hint);
        }
    }
    Ok(())
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

fn fraction(key: &str, value: f64) -> Result<(), VlpError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => fail(key, value, "use a value between 0 and 1"),
    }
}

fn weight(objective: &str, value: f64) -> Result<(), VlpError> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(()),
        false => fail(
            &format!("objectives.{objective}.weight"),
            value,
            "use a finite weight of at least 0 (1 in the paper)",
        ),
    }
}
