//! `model`: the model of either system.

use serde::{Deserialize, Serialize};
use vlp_models::{E2eVlpConfig, SohoConfig};
use vlp_vision::{ResNetConfig, VectorQuantizerConfig};

/// Configuration of the model; `system` determines its other keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "system", rename_all = "kebab-case")]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a run")]
pub enum ModelConfig {
    /// E2E-VLP.
    E2eVlp(E2eVlpConfig),
    /// SOHO.
    Soho(SohoConfig),
}

impl ModelConfig {
    /// Width of the tokens, `d_model`.
    pub fn d_model(&self) -> usize {
        match self {
            Self::E2eVlp(model) => model.d_model,
            Self::Soho(model) => model.d_model,
        }
    }

    /// Number of attention heads.
    pub fn n_heads(&self) -> usize {
        match self {
            Self::E2eVlp(model) => model.n_heads,
            Self::Soho(model) => model.n_heads,
        }
    }

    /// Width of the feed-forward layers.
    pub fn d_ff(&self) -> usize {
        match self {
            Self::E2eVlp(model) => model.d_ff,
            Self::Soho(model) => model.d_ff,
        }
    }

    /// Number of layers of the encoder, the decoder and the caption decoder.
    pub(crate) fn layers(&self) -> [usize; 3] {
        match self {
            Self::E2eVlp(m) => [m.encoder_layers, m.decoder_layers, m.caption_layers],
            Self::Soho(m) => [m.encoder_layers, m.decoder_layers, 0],
        }
    }

    /// Visual backbone.
    pub fn backbone(&self) -> &ResNetConfig {
        match self {
            Self::E2eVlp(model) => &model.backbone,
            Self::Soho(model) => &model.backbone,
        }
    }

    /// Dropout probability.
    pub fn dropout(&self) -> f64 {
        match self {
            Self::E2eVlp(model) => model.dropout,
            Self::Soho(model) => model.dropout,
        }
    }

    /// The same model without recomputation in the backward pass.
    #[must_use]
    pub fn without_recompute(mut self) -> Self {
        match &mut self {
            Self::E2eVlp(model) => model.recompute.clear(),
            Self::Soho(model) => model.recompute.clear(),
        }
        self
    }

    /// Maximum length of a text in tokens.
    pub fn max_positions(&self) -> usize {
        match self {
            Self::E2eVlp(model) => model.max_positions,
            Self::Soho(model) => model.max_positions,
        }
    }

    /// The visual dictionary, if there is one.
    pub fn quantizer(&self) -> Option<&VectorQuantizerConfig> {
        match self {
            Self::E2eVlp(model) => model.quantizer.as_ref(),
            Self::Soho(model) => model.quantizer.as_ref(),
        }
    }

    /// Whether there is a decoder for detection and captions.
    pub fn has_decoder(&self) -> bool {
        match self {
            Self::E2eVlp(_) => true,
            Self::Soho(model) => model.decoder_layers > 0,
        }
    }
}
