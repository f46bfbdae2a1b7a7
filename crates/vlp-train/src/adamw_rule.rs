//! Published variants of AdamW.

use serde::{Deserialize, Serialize};

/// Where AdamW adds epsilon, and when it decays weights. The two hardly differ after some thousand steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdamWRule {
    /// `torch.optim.AdamW`: epsilon is added after the bias of the second moment is corrected, and weights decay before the
    /// update.
    #[default]
    PyTorch,
    /// `AdamW` of Hugging Face's transformers up to version 4, and SOHO's released code: epsilon is added before the
    /// correction, so that it counts 32 times in the first step, and weights decay after the update.
    Transformers,
}

impl AdamWRule {
    pub(crate) fn is_pytorch(&self) -> bool {
        *self == Self::PyTorch
    }
}
