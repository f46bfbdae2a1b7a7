//! What serde's types cannot say of a configuration, checked before anything is read or written.

use super::RunConfig;
use crate::error::VlpError;

impl RunConfig {
    /// Says which value cannot work, and what would.
    ///
    /// # Errors
    /// [`VlpError::Config`] with key, value and what would do, or the error of the part it is about.
    pub fn validate(&self) -> Result<(), VlpError> {
        self.train.validate()?;
        self.data.kind()?;
        self.data.resize.check()?;
        if let Some(rule) = &self.data.eval_resize {
            rule.check()?;
        }
        let at_least = |key: &str, value: usize, least: usize, why: &str| match value < least {
            true => fail(key, value, &format!("use at least {least}{why}")),
            false => Ok(()),
        };
        at_least("data.batch_size", self.data.batch_size, 1, "")?;
        let room = ": [CLS], a word piece and [SEP]";
        at_least("data.max_text", self.data.max_text, 3, room)?;
        at_least("eval.examples", self.eval.examples, 1, " (256, say)")?;
        at_least("checkpoint.keep", self.checkpoint.keep, 1, "")?;
        share("data.max_bad_share", self.data.max_bad_share)?;
        let heldout = self.data.heldout_share;
        if !(heldout > 0.0 && heldout < 1.0) {
            let hint = "use a share over 0 and below 1 (0.1, say)";
            return fail("data.heldout_share", heldout, hint);
        }
        at_least(
            "data.pad_multiple",
            self.data.pad_multiple,
            1,
            " (32 in SOHO)",
        )?;
        at_least("data.texts", self.data.texts, 1, " (4 in SOHO)")?;
        let dropout = self.model.dropout();
        share("model.dropout", dropout)?;
        if dropout == 1.0 {
            return fail("model.dropout", 1.0, "use less than 1 (0.1 in DETR)");
        }
        if self.train.side_by_side && dropout > 0.0 {
            let hint = "train.side_by_side needs 0: threads would draw from one random stream";
            return fail("model.dropout", dropout, hint);
        }
        if let Some(own) = self.model.quantiser() {
            own.dictionary
                .validate()
                .map_err(|e| VlpError::Config(format!("model.quantiser.{e}")))?;
        }
        let objectives = &self.objectives;
        if let Some(itm) = &objectives.itm {
            weight("itm", itm.weight)?;
            share("objectives.itm.mismatch", itm.mismatch)?;
            let foreign = itm.mismatch * self.data.texts as f64;
            if itm.balanced && !self.data.all_pairs && foreign.fract() != 0.0 {
                let hint = format!(
                    "of data.texts = {} that is no whole number of texts: use another share, or objectives.itm.balanced = false",
                    self.data.texts
                );
                return fail("objectives.itm.mismatch", itm.mismatch, &hint);
            }
        }
        if let Some(mlm) = &objectives.mlm {
            weight("mlm", mlm.weight)?;
            share("objectives.mlm.probability", mlm.probability)?;
        }
        if let Some(mvm) = &objectives.mvm {
            weight("mvm", mvm.weight)?;
            share("objectives.mvm.probability", mvm.probability)?;
            if self.model.quantiser().is_none() {
                let hint = "needs a visual dictionary: set model.quantiser (the soho presets have one), or switch it off with objectives.mvm=off";
                return fail("objectives.mvm", "{..}", hint);
            }
        }
        if let Some(itc) = &objectives.itc {
            weight("itc", itc.weight)?;
            at_least("objectives.itc.dim", itc.dim, 1, " (256 in ALBEF)")?;
            if itc.temperature.is_nan() || itc.temperature <= 0.0 {
                let hint = "use a temperature above 0 (0.07 in ALBEF)";
                return fail("objectives.itc.temperature", itc.temperature, hint);
            }
            if itc.hard_negatives && !self.data.all_pairs {
                let hint = "chooses among all pairs: set data.all_pairs=true as well";
                return fail("objectives.itc.hard_negatives", true, hint);
            }
        }
        if self.eval.rerank > 0 && objectives.itc.is_none() {
            let hint = "needs a contrastive head: set objectives.itc.dim (256 in ALBEF) as well";
            return fail("eval.rerank", self.eval.rerank, hint);
        }
        let decoders = [
            ("detection", objectives.detection.is_some()),
            ("caption", objectives.caption.is_some()),
        ];
        for (name, on) in decoders {
            if on && !self.model.decodes() {
                let hint = "needs a decoder: set model.decoder_layers (2, say), or switch it off";
                return fail(&format!("objectives.{name}"), "{..}", hint);
            }
        }
        if let Some(detection) = &objectives.detection {
            weight("detection", detection.weight)?;
        }
        if let Some(caption) = &objectives.caption {
            weight("caption", caption.weight)?;
            at_least("objectives.caption.max_len", caption.max_len, 3, room)?;
            at_least("objectives.caption.beams", caption.beams, 1, " (greedy)")?;
            if let Some(sampling) = &caption.sampling {
                let key = "objectives.caption.sampling";
                if sampling.temperature.is_nan() || sampling.temperature <= 0.0 {
                    let hint = "use a temperature above 0 (1 leaves the model's shares)";
                    return fail(&format!("{key}.temperature"), sampling.temperature, hint);
                }
                if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
                    let hint = "use a share above 0, at most 1 (0.9 is usual)";
                    return fail(&format!("{key}.top_p"), sampling.top_p, hint);
                }
            }
        }
        Ok(())
    }
}

fn fail<T>(key: &str, value: impl std::fmt::Display, hint: &str) -> Result<T, VlpError> {
    Err(VlpError::Config(format!("{key} = {value}: {hint}")))
}

fn share(key: &str, value: f64) -> Result<(), VlpError> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => fail(key, value, "use a share between 0 and 1"),
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
