//! Parameter groups: rates, decay and rule for each, chosen by the parameter's path.

use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use serde::{Deserialize, Serialize};

use crate::adamw::AdamW;
use crate::error::TrainError;
use crate::grads::GradScale;
use crate::sgd::Sgd;

/// Paths of norms' gains and shifts and of biases.
const NO_DECAY: &str = r"(^|\.)(gamma|beta|bias)$";

/// AdamW for everything, with groups of their own rates and rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate of what no group names; 1e-4 in E2E-VLP.
    pub learning_rate: f64,
    /// Decoupled weight decay; 1e-4 in DETR and E2E-VLP.
    pub weight_decay: f64,
    /// AdamW's first moment; 0.9.
    pub beta1: f64,
    /// AdamW's second moment; 0.999.
    pub beta2: f64,
    /// AdamW's epsilon; 1e-8 in PyTorch, 1e-6 in BERT and SOHO.
    pub epsilon: f64,
    /// Decay norms and biases too; true in DETR and E2E-VLP.
    pub decay_norms_and_biases: bool,
    /// Global gradient norm to clip to, 0 for none; 0.1 in DETR.
    pub clip_norm: f64,
    /// How AdamW's moments are kept. `bf16` takes half of their memory (a quarter of weights, gradients and moments
    /// together) and of theirs in checkpoints; not in the papers.
    #[serde(default, skip_serializing_if = "MomentType::is_f32")]
    pub moments: MomentType,
    /// Groups; where several match, the last one holds.
    #[serde(default)]
    pub groups: Vec<GroupConfig>,
}

/// How moments lie in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MomentType {
    /// As they are computed.
    #[default]
    F32,
    /// Cut to eight bits of precision by stochastic rounding, so that changes below the last bit add up.
    Bf16,
}

impl MomentType {
    fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

/// Parameters with a rate, decay or rule of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// Regular expression on the parameter's path, for example `^model\.backbone\.`.
    pub pattern: String,
    /// Learning rate; 1e-5 for E2E-VLP's backbone.
    pub learning_rate: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Update rule.
    pub kind: OptimizerKind,
    /// Share of the run at whose start the group still stands still, weights and norms alike; 0 for none, 0.25 for
    /// SOHO's backbone (10 of 40 epochs).
    #[serde(default)]
    pub frozen_until: f64,
}

/// Update rule of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerKind {
    /// AdamW with the betas and epsilon of the whole.
    Adamw,
    /// Stochastic gradient descent (SOHO's backbone).
    Sgd {
        /// Momentum; 0.9.
        momentum: f64,
    },
}

impl Default for OptimizerConfig {
    /// E2E-VLP's values, which are DETR's, without a group for the backbone.
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            weight_decay: 1e-4,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            decay_norms_and_biases: true,
            clip_norm: 0.1,
            moments: MomentType::F32,
            groups: vec![],
        }
    }
}

impl OptimizerConfig {
    /// Says what is wrong with impossible values.
    pub fn validate(&self) -> Result<(), TrainError> {
        let fail = |key: &str, value: f64, hint: &str| {
            Err(TrainError::Config {
                key: format!("optimizer.{key}"),
                value: value.to_string(),
                hint: hint.into(),
            })
        };
        let rates = self.groups.iter().map(|g| g.learning_rate);
        for rate in std::iter::once(self.learning_rate).chain(rates) {
            if !rate.is_finite() || rate < 0.0 {
                let hint = "use a finite rate of at least 0 (1e-4, say)";
                return fail("learning_rate", rate, hint);
            }
        }
        let decays = self.groups.iter().map(|g| g.weight_decay);
        for decay in std::iter::once(self.weight_decay).chain(decays) {
            if !decay.is_finite() || decay < 0.0 {
                let hint = "use a finite decay of at least 0 (1e-4, say)";
                return fail("weight_decay", decay, hint);
            }
        }
        for share in self.groups.iter().map(|g| g.frozen_until) {
            if !(0.0..=1.0).contains(&share) {
                let hint = "use a share of the run between 0 and 1 (0.25 in SOHO)";
                return fail("frozen_until", share, hint);
            }
        }
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return fail(key, beta, "use at least 0 and less than 1 (0.9 and 0.999)");
            }
        }
        if !self.epsilon.is_finite() || self.epsilon <= 0.0 {
            return fail("epsilon", self.epsilon, "use a small number over 0 (1e-8)");
        }
        if !self.clip_norm.is_finite() || self.clip_norm < 0.0 {
            let hint = "use 0 for none, or the greatest norm (0.1 in DETR)";
            return fail("clip_norm", self.clip_norm, hint);
        }
        Ok(())
    }

    fn adamw(&self, weight_decay: f64, grad_scale: &GradScale) -> AdamW {
        AdamW {
            grad_scale: grad_scale.clone(),
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            epsilon: self.epsilon as f32,
            decay: weight_decay as f32,
            bf16: self.moments == MomentType::Bf16,
        }
    }

    fn group(pattern: &str) -> Result<ParamGroup, TrainError> {
        ParamGroup::from_regex(pattern).map_err(|e| TrainError::Config {
            key: "optimizer.groups.pattern".into(),
            value: pattern.into(),
            hint: format!("not a regular expression: {e:?}"),
        })
    }

    /// Groups that stand still at `step` of `total`.
    pub(crate) fn frozen(&self, step: u64, total: u64) -> Result<Vec<ParamGroup>, TrainError> {
        let share = step as f64 / total.max(1) as f64;
        let still = self.groups.iter().filter(|g| share < g.frozen_until);
        still.map(|g| Self::group(&g.pattern)).collect()
    }

    /// Builds the optimiser with empty state; its gradients are multiplied by `scale`, where `clip_norm` is to be kept.
    pub fn init(&self, scale: &GradScale) -> Result<ModuleOptimizer, TrainError> {
        let mut optimizer = ModuleOptimizer::from(self.adamw(self.weight_decay, scale));
        if !self.decay_norms_and_biases {
            optimizer = optimizer.with_group(Self::group(NO_DECAY)?, self.adamw(0.0, scale), None);
        }
        for group in &self.groups {
            let add = |optimizer: ModuleOptimizer, params: ParamGroup, decay: f64| match group.kind
            {
                OptimizerKind::Adamw => {
                    optimizer.with_group(params, self.adamw(decay, scale), None)
                }
                OptimizerKind::Sgd { momentum } => {
                    let sgd = Sgd {
                        grad_scale: scale.clone(),
                        momentum: momentum as f32,
                        decay: decay as f32,
                    };
                    optimizer.with_group(params, sgd, None)
                }
            };
            optimizer = add(optimizer, Self::group(&group.pattern)?, group.weight_decay);
            if !self.decay_norms_and_biases {
                let both = ParamGroup::from_regexes(vec![group.pattern.as_str(), NO_DECAY]);
                let both = both.map_err(|e| TrainError::Config {
                    key: "optimizer.groups.pattern".into(),
                    value: group.pattern.clone(),
                    hint: format!("{e:?}"),
                })?;
                optimizer = add(optimizer, both, 0.0);
            }
        }
        Ok(optimizer)
    }

    /// Learning rates of every group, times `factor`.
    pub fn rates(&self, factor: f64) -> Result<ModuleLearningRate, TrainError> {
        let mut rates = ModuleLrScheduler::new(self.learning_rate * factor);
        for group in &self.groups {
            rates = rates.with_group(Self::group(&group.pattern)?, group.learning_rate * factor);
        }
        Ok(rates.step())
    }
}
