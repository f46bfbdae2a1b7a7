//! The four objectives of E2E-VLP, each of which can be switched off.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::{
    Captioning, CaptioningConfig, Detection, DetectionConfig, Itm, ItmConfig, Mlm, MlmConfig,
    objective_set,
};

use crate::error::ModelError;

/// Configuration of [`E2eObjectives`]; a part left out is switched off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectivesConfig {
    /// Image-text matching.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub itm: Option<ItmConfig>,
    /// Masked language modelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm: Option<MlmConfig>,
    /// Detection with attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection: Option<DetectionConfig>,
    /// Captioning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<CaptioningConfig>,
}

/// Image-text matching first (it may replace the text), then the masking of what is left.
#[derive(Module, Debug)]
pub struct E2eObjectives {
    /// Image-text matching.
    pub itm: Option<Itm>,
    /// Masked language modelling.
    pub mlm: Option<Mlm>,
    /// Detection with attributes.
    pub detection: Option<Detection>,
    /// Captioning.
    pub caption: Option<Captioning>,
}

objective_set!(E2eObjectives, E2eTargets {
    itm: Option<Itm>,
    mlm: Option<Mlm>,
    detection: Option<Detection>,
    caption: Option<Captioning>,
});

impl ObjectivesConfig {
    /// Builds the heads for a model of width `d_model` and the given vocabularies.
    pub fn init(
        &self,
        d_model: usize,
        vocab_size: usize,
        vocabularies: Vec<ClassVocabulary>,
        device: &Device,
    ) -> Result<E2eObjectives, ModelError> {
        Ok(E2eObjectives {
            itm: self.itm.as_ref().map(|c| c.init(d_model, device)),
            mlm: self
                .mlm
                .as_ref()
                .map(|c| c.init(d_model, vocab_size, device)),
            detection: self
                .detection
                .as_ref()
                .map(|c| c.init(d_model, vocabularies, device))
                .transpose()?,
            caption: self.caption.as_ref().map(|c| c.init(vocab_size, device)),
        })
    }
}
