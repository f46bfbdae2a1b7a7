//! The list of all objectives, each of which can be switched off.

use burn::prelude::*;
use getset::WithSetters;
use serde::{Deserialize, Serialize};

use crate::captioning::{Captioning, CaptioningConfig};
use crate::detection::{ClassVocabulary, Detection, DetectionConfig};
use crate::error::ObjectiveError;
use crate::itc::{Itc, ItcConfig};
use crate::itm::{Itm, ItmConfig};
use crate::mlm::{Mlm, MlmConfig};
use crate::mvm::{Mvm, MvmConfig};
use crate::nlvr2::{Nlvr2, Nlvr2Config};
use crate::objective::Objective;
use crate::objective_set;
use crate::snli_ve::{SnliVe, SnliVeConfig};
use crate::validate::{Check, RunContext, Validate};
use crate::vqa::{Vqa, VqaConfig};

/// Sizes of the model and the data that heads are built for.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadSizes {
    /// Width of the model's tokens.
    pub d_model: usize,
    /// Number of tokens of the vocabulary.
    pub vocab_size: usize,
    /// Classes and attributes of the data sets.
    pub vocabularies: Vec<ClassVocabulary>,
    /// Number of codes of the visual dictionary; 0 without one.
    pub codes: usize,
    /// Number of answers to questions; 0 for data without questions.
    pub answers: usize,
}

/// Defines configuration and set from one list of `field: Config => Objective, |config, sizes, device| objective`.
macro_rules! pretrain_objectives {
    ($(
        $(#[$meta:meta])*
        $field:ident: $config_type:ty => $objective:ty,
        |$config:ident, $sizes:ident, $device:ident| $init:expr;
    )+) => {
        /// Configuration of [`PretrainObjectives`]; an objective without configuration is switched off.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, WithSetters)]
        #[getset(set_with = "pub")]
        #[non_exhaustive]
        #[serde(deny_unknown_fields)]
        pub struct ObjectivesConfig {
            $(
                $(#[$meta])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$config_type>
            ),+
        }

        objective_set! {
            /// All objectives. Matching comes first, as it may replace the text that is then masked.
            pub struct PretrainObjectives(PretrainTargets, PretrainMetrics) {
                $($(#[$meta])* pub $field: Option<$objective>),+
            }
        }

        impl ObjectivesConfig {
            /// Checks the values.
            ///
            /// # Errors
            /// [`ObjectiveError::Config`] for an invalid value, [`ObjectiveError::Unusable`] for an objective
            /// that the run does not support.
            pub fn validate(&self, run: &RunContext) -> Result<(), ObjectiveError> {
                $(if let Some(config) = &self.$field {
                    let check = Check(<$objective>::NAME);
                    check.weight("weight", config.weight, "1 in the paper")?;
                    config.validate(&check, run)?;
                })+
                Ok(())
            }

            /// Builds the heads of the objectives that are configured.
            ///
            /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
            ///
            /// # Errors
            /// [`ObjectiveError::Config`] for an invalid value.
            pub fn init(
                &self,
                sizes: &HeadSizes,
                device: &Device,
            ) -> Result<PretrainObjectives, ObjectiveError> {
                $(
                    let init = |$config: &$config_type, $sizes: &HeadSizes, $device: &Device|
                        -> Result<$objective, ObjectiveError> { $init };
                    let config = self.$field.as_ref();
                    let $field = config.map(|config| init(config, sizes, device)).transpose()?;
                )+
                Ok(PretrainObjectives { $($field),+ })
            }
        }
    };
}

pretrain_objectives! {
    /// Image-text matching.
    itm: ItmConfig => Itm, |config, sizes, device| Ok(config.init(sizes.d_model, device));
    /// Image-text contrast; in neither paper.
    itc: ItcConfig => Itc, |config, sizes, device| Ok(config.init(sizes.d_model, device));
    /// Masked language modeling.
    mlm: MlmConfig => Mlm, |config, sizes, device| {
        Ok(config.init(sizes.d_model, sizes.vocab_size, device))
    };
    /// Masked visual modeling; needs a model with a visual dictionary.
    mvm: MvmConfig => Mvm, |config, sizes, device| {
        config.init(sizes.d_model, sizes.codes, device)
    };
    /// Detection with attributes.
    detection: DetectionConfig => Detection, |config, sizes, device| {
        config.init(sizes.d_model, sizes.vocabularies.clone(), device)
    };
    /// Captioning.
    caption: CaptioningConfig => Captioning, |config, sizes, device| {
        Ok(config.init(sizes.vocab_size, device))
    };
    /// Visual question answering.
    vqa: VqaConfig => Vqa, |config, sizes, device| {
        config.init(sizes.d_model, sizes.answers, device)
    };
    /// Truth of statements about two images.
    nlvr2: Nlvr2Config => Nlvr2, |config, sizes, device| Ok(config.init(sizes.d_model, device));
    /// Visual entailment.
    snli_ve: SnliVeConfig => SnliVe, |config, sizes, device| Ok(config.init(sizes.d_model, device));
}
