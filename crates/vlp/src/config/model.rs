//! Which system is trained.

use serde::{Deserialize, Serialize};
use vlp_models::{E2eVlpConfig, SohoConfig};
use vlp_vision::{QuantiserConfig, ResNetConfig};

/// Configuration of the model of either system, told apart by `system`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "system", rename_all = "kebab-case")]
#[allow(
    clippy::large_enum_variant,
    reason = "one of it exists in a run, and it is read only"
)]
pub enum ModelConfig {
    /// E2E-VLP.
    E2eVlp(E2eVlpConfig),
    /// SOHO.
    Soho(SohoConfig),
}

impl ModelConfig {
    /// Width of the tokens.
    pub fn d_model(&self) -> usize {
        match self {
            Self::E2eVlp(own) => own.d_model,
            Self::Soho(own) => own.d_model,
        }
    }

    /// Attention heads.
    pub fn heads(&self) -> usize {
        match self {
            Self::E2eVlp(own) => own.heads,
            Self::Soho(own) => own.heads,
        }
    }

    /// Visual backbone.
    pub fn backbone(&self) -> &ResNetConfig {
        match self {
            Self::E2eVlp(own) => &own.backbone,
            Self::Soho(own) => &own.backbone,
        }
    }

    /// Dropout.
    pub fn dropout(&self) -> f64 {
        match self {
            Self::E2eVlp(own) => own.dropout,
            Self::Soho(own) => own.dropout,
        }
    }

    /// The same model, all of whose layers keep what the backward pass needs.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        match &mut self {
            Self::E2eVlp(own) => own.recompute.clear(),
            Self::Soho(own) => own.recompute.clear(),
        }
        self
    }

    /// Longest text in tokens.
    pub fn max_positions(&self) -> usize {
        match self {
            Self::E2eVlp(own) => own.max_positions,
            Self::Soho(own) => own.max_positions,
        }
    }

    /// The visual dictionary, if there is one.
    pub fn quantiser(&self) -> Option<&QuantiserConfig> {
        match self {
            Self::E2eVlp(own) => own.quantiser.as_ref(),
            Self::Soho(own) => own.quantiser.as_ref(),
        }
    }

    /// Whether there is a decoder for detection and captions.
    pub fn decodes(&self) -> bool {
        match self {
            Self::E2eVlp(_) => true,
            Self::Soho(own) => own.decoder_layers > 0,
        }
    }
}
