//! Parameter groups with their own optimizer.

use getset::WithSetters;
use serde::{Deserialize, Serialize};

/// Parameters with their own learning rate, weight decay and optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// Regular expression on the parameter's path, for example `^model\.backbone\.`.
    pub pattern: String,
    /// Learning rate; 1e-5 for E2E-VLP's backbone.
    pub learning_rate: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Optimizer of the group.
    pub kind: OptimizerKind,
    /// Fraction of the run, in `0..=1`, during which the group is frozen, including its norms; 0 to train it from the
    /// start, 0.25 for SOHO's backbone (10 of 40 epochs). `vlp finetune` trains such a group from the start, and leaves 1 as it is.
    #[serde(default)]
    pub frozen_until: f64,
}

impl GroupConfig {
    /// AdamW with E2E-VLP's weight decay, never frozen.
    pub fn new(pattern: impl Into<String>, learning_rate: f64) -> Self {
        Self {
            pattern: pattern.into(),
            learning_rate,
            weight_decay: 1e-4,
            kind: OptimizerKind::Adamw,
            frozen_until: 0.0,
        }
    }
}

/// Optimizer of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerKind {
    /// AdamW with the betas and epsilon of [`OptimizerConfig`](crate::OptimizerConfig).
    Adamw,
    /// Stochastic gradient descent (SOHO's backbone).
    Sgd {
        /// Momentum; 0.9 in SOHO.
        momentum: f64,
    },
}
