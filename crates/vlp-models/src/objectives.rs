//! The objectives of both papers, each of which can be switched off.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::{
    Captioning, CaptioningConfig, Detection, DetectionConfig, Itc, ItcConfig, Itm, ItmConfig, Mlm,
    MlmConfig, Mvm, MvmConfig, Nlvr2, Nlvr2Config, SnliVe, SnliVeConfig, Vqa, VqaConfig,
    objective_set,
};

use crate::error::ModelError;

/// Configuration of [`PretrainObjectives`]; a part left out is switched off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectivesConfig {
    /// Image-text matching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itm: Option<ItmConfig>,
    /// Image-text contrast; of neither paper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itc: Option<ItcConfig>,
    /// Masked language modelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm: Option<MlmConfig>,
    /// Masked visual modelling; needs a model with a visual dictionary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mvm: Option<MvmConfig>,
    /// Detection with attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionConfig>,
    /// Captioning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<CaptioningConfig>,
    /// Question answering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vqa: Option<VqaConfig>,
    /// Truth of statements about two pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nlvr2: Option<Nlvr2Config>,
    /// Entailment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snli_ve: Option<SnliVeConfig>,
}

/// What the heads are built for.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadSizes {
    /// Width of the model's tokens.
    pub d_model: usize,
    /// Number of word pieces.
    pub vocab_size: usize,
    /// Classes and attributes of the data sets.
    pub vocabularies: Vec<ClassVocabulary>,
    /// Rows of the visual dictionary; 0 without one.
    pub codes: usize,
    /// Answers to questions; 0 in data without questions.
    pub answers: usize,
}

/// Image-text matching first (it may replace the text), then the masking of what is left.
#[derive(Module, Debug)]
pub struct PretrainObjectives {
    /// Image-text matching.
    pub itm: Option<Itm>,
    /// Image-text contrast.
    pub itc: Option<Itc>,
    /// Masked language modelling.
    pub mlm: Option<Mlm>,
    /// Masked visual modelling.
    pub mvm: Option<Mvm>,
    /// Detection with attributes.
    pub detection: Option<Detection>,
    /// Captioning.
    pub caption: Option<Captioning>,
    /// Question answering.
    pub vqa: Option<Vqa>,
    /// Truth of statements about two pictures.
    pub nlvr2: Option<Nlvr2>,
    /// Entailment.
    pub snli_ve: Option<SnliVe>,
}

objective_set!(PretrainObjectives, PretrainTargets {
    itm: Option<Itm>,
    itc: Option<Itc>,
    mlm: Option<Mlm>,
    mvm: Option<Mvm>,
    detection: Option<Detection>,
    caption: Option<Captioning>,
    vqa: Option<Vqa>,
    nlvr2: Option<Nlvr2>,
    snli_ve: Option<SnliVe>,
});

impl ObjectivesConfig {
    /// Builds the heads.
    ///
    /// # Errors
    /// [`ModelError::Objective`] with key, value and what would do.
    pub fn init(
        &self,
        sizes: &HeadSizes,
        device: &Device,
    ) -> Result<PretrainObjectives, ModelError> {
        let (d_model, vocab_size) = (sizes.d_model, sizes.vocab_size);
        Ok(PretrainObjectives {
            itm: self.itm.as_ref().map(|c| c.init(d_model, device)),
            itc: self.itc.as_ref().map(|c| c.init(d_model, device)),
            mlm: self
                .mlm
                .as_ref()
                .map(|c| c.init(d_model, vocab_size, device)),
            mvm: self
                .mvm
                .as_ref()
                .map(|c| c.init(d_model, sizes.codes, device))
                .transpose()?,
            detection: self
                .detection
                .as_ref()
                .map(|c| c.init(d_model, sizes.vocabularies.clone(), device))
                .transpose()?,
            caption: self.caption.as_ref().map(|c| c.init(vocab_size, device)),
            vqa: self
                .vqa
                .as_ref()
                .map(|c| c.init(d_model, sizes.answers, device))
                .transpose()?,
            nlvr2: self.nlvr2.as_ref().map(|c| c.init(d_model, device)),
            snli_ve: self.snli_ve.as_ref().map(|c| c.init(d_model, device)),
        })
    }
}
