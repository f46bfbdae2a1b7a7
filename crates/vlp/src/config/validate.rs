//! Checks of values that their types do not express, before anything is read or written.

use std::fmt::Display;

use vlp_data::{DataError, Limits, NegativeFrom, ResizeRule};
use vlp_objectives::{HeadKind, RunContext};
use vlp_scenes::Split;
use vlp_vision::UpdateTime;

use super::{CheckpointChoice, RunConfig};
use crate::error::VlpError;

/// Maximum of `data.texts_per_image`.
const MAX_TEXTS: usize = 1000;

impl RunConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VlpError::Config`] with key, value and a valid value, or the error of the part that refuses it.
    pub fn validate(&self) -> Result<(), VlpError> {
        if self.from.is_none() && self.from_checkpoint != CheckpointChoice::Last {
            let hint = "there is no run to start from; set `from` as well";
            return fail("from_checkpoint", self.from_checkpoint, hint);
        }
        if self.data.scenes.split != Split::Train {
            let hint = "remove it: training reads the training split, evaluation the test split";
            return fail("data.scenes.split", self.data.scenes.split.name(), hint);
        }
        self.train.validate()?;
        self.validate_lanes()?;
        self.validate_dictionary()?;
        self.validate_evaluation()?;
        at_least("checkpoint.keep", self.checkpoint.keep, 1, "")?;
        self.validate_model()?;
        self.validate_objectives()?;
        if self.eval.rerank > 0 && self.objectives.itc.is_none() {
            let hint = "needs a contrastive head: set objectives.itc.dim (256 in ALBEF) as well";
            return fail("eval.rerank", self.eval.rerank, hint);
        }
        Ok(())
    }

    /// Checks the values that an evaluation reads, and all sizes.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub(crate) fn validate_evaluation(&self) -> Result<(), VlpError> {
        self.validate_data()?;
        self.check_sizes()?;
        self.validate_positions()?;
        let eval = &self.eval;
        at_least("eval.examples", eval.examples, 1, ", such as 256")?;
        let usual = " (5 for COCO and Flickr30k)";
        at_least("eval.retrieval_texts", eval.retrieval_texts, 1, usual)?;
        at_least("eval.folds", eval.folds, 1, " (5 for COCO's 1k protocol)")
    }

    /// Checks that there are position embeddings for the longest text.
    ///
    /// # Errors
    /// [`VlpError::Config`] with the length.
    pub(crate) fn validate_positions(&self) -> Result<(), VlpError> {
        let caption = self.objectives.caption.as_ref();
        let caption_tokens = caption.map_or(0, |caption| caption.max_new_tokens);
        let longest = self.data.max_text_len.max(caption_tokens);
        let max_positions = self.model.max_positions();
        if longest > max_positions {
            return Err(VlpError::Config(format!(
                "model.max_positions = {max_positions}: texts have up to {longest} tokens (data.max_text_len, objectives.caption.max_new_tokens)"
            )));
        }
        Ok(())
    }

    fn validate_data(&self) -> Result<(), VlpError> {
        let data = &self.data;
        data.kind()?;
        for (key, rule) in [
            ("data.resize", Some(&data.resize)),
            ("data.eval_resize", data.eval_resize.as_ref()),
        ] {
            rule.map_or(Ok(()), ResizeRule::check)
                .map_err(|error| match error {
                    DataError::Config { reason, .. } => {
                        VlpError::Config(format!("{key}: {reason}"))
                    }
                    error => error.into(),
                })?;
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
            let hint = "use a value above 0 and below 1, such as 0.1";
            return fail("data.validation_fraction", validation, hint);
        }
        let iou = data.duplicate_iou;
        if iou.is_nan() || iou <= 0.0 {
            let hint = "use a value above 0, such as 0.9; one above 1 keeps all objects";
            return fail("data.duplicate_iou", iou, hint);
        }
        at_least("data.pad_multiple", data.pad_multiple, 1, " (32 in SOHO)")?;
        let max_side = Limits::default().max_side;
        at_most("data.pad_multiple", data.pad_multiple, max_side)?;
        let texts = data.texts_per_image;
        at_least("data.texts_per_image", texts, 1, " (4 in SOHO)")?;
        at_most("data.texts_per_image", texts, MAX_TEXTS)
    }

    /// With the mean of more than two codebooks, a code would hardly move.
    fn validate_dictionary(&self) -> Result<(), VlpError> {
        let follow = self
            .model
            .quantizer()
            .map(|quantizer| quantizer.dictionary.follow);
        if self.train.accumulate > 2 && follow == Some(UpdateTime::Batch) {
            let hint = "with train.accumulate above 2 every micro-batch updates its own copy of the codebook, and their mean hardly moves the codes: use \"step\"";
            return fail("model.quantizer.dictionary.follow", "\"batch\"", hint);
        }
        Ok(())
    }

    fn validate_lanes(&self) -> Result<(), VlpError> {
        let (data, accumulate) = (&self.data, self.train.accumulate);
        if data.lanes != 1 && data.lanes != accumulate {
            let hint = format!("use 1, or train.accumulate = {accumulate}");
            return fail("data.lanes", data.lanes, &hint);
        }
        let hint = "set data.window as well, for example to 4096";
        if data.window == 0 && data.lanes != 1 {
            return fail("data.lanes", data.lanes, hint);
        }
        if data.window == 0 && data.negative_from == NegativeFrom::Window {
            return fail("data.negative_from", "\"window\"", hint);
        }
        Ok(())
    }

    fn validate_model(&self) -> Result<(), VlpError> {
        at_least("model.d_ff", self.model.d_ff(), 1, "")?;
        let dropout = self.model.dropout();
        fraction("model.dropout", dropout)?;
        if dropout == 1.0 {
            return fail("model.dropout", 1.0, "use less than 1 (0.1 in DETR)");
        }
        self.validate_halves()?;
        if let Some(quantizer) = self.model.quantizer() {
            let valid = quantizer.dictionary.validate();
            valid.map_err(|e| VlpError::Config(format!("model.quantizer.{e}")))?;
        }
        Ok(())
    }

    /// The threads of `train.data_parallel_halves` would share a random number generator.
    fn validate_halves(&self) -> Result<(), VlpError> {
        if !self.train.data_parallel_halves {
            return Ok(());
        }
        let dropout = self.model.dropout();
        if dropout > 0.0 {
            let hint = "train.data_parallel_halves needs 0: the threads would share a random number generator";
            return fail("model.dropout", dropout, hint);
        }
        let objectives = &self.objectives;
        let heads = [
            ("vqa", objectives.vqa.as_ref().map(|config| config.head)),
            ("nlvr2", objectives.nlvr2.as_ref().map(|config| config.head)),
            (
                "snli_ve",
                objectives.snli_ve.as_ref().map(|config| config.head),
            ),
        ];
        match heads
            .iter()
            .find(|(_, head)| *head == Some(HeadKind::SohoMlp))
        {
            None => Ok(()),
            Some((name, _)) => {
                let hint = "it has dropout: set train.data_parallel_halves=false as well, since the threads would share a random number generator";
                fail(&format!("objectives.{name}.head"), "\"soho_mlp\"", hint)
            }
        }
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

pub(super) fn fail<T>(key: &str, value: impl Display, hint: &str) -> Result<T, VlpError> {
    Err(VlpError::Config(format!("{key} = {value}: {hint}")))
}

fn at_least(key: &str, value: usize, minimum: usize, reason: &str) -> Result<(), VlpError> {
    match value >= minimum {
        true => Ok(()),
        false => fail(key, value, &format!("use at least {minimum}{reason}")),
    }
}

pub(super) fn at_most(key: &str, value: usize, maximum: usize) -> Result<(), VlpError> {
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
