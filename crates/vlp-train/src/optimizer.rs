//! Parameter groups with their own learning rate, weight decay and optimizer, selected by parameter path.

use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use getset::WithSetters;
use serde::{Deserialize, Serialize};

use crate::adamw::AdamW;
use crate::adamw_rule::AdamWRule;
use crate::error::TrainError;
use crate::grad_scale::GradScale;
use crate::group_config::{GroupConfig, OptimizerKind};
use crate::param_groups::{ParamGroups, param_group};
use crate::sgd::Sgd;

/// Paths of the norms' `gamma` and `beta` and of biases.
const NO_DECAY: &str = r"(^|\.)(gamma|beta|bias)$";

/// Configuration of the optimizer: AdamW for all parameters outside the groups, which have their own settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate of parameters outside every group; 1e-4 in E2E-VLP.
    pub learning_rate: f64,
    /// Decoupled weight decay; 1e-4 in DETR and E2E-VLP.
    pub weight_decay: f64,
    /// Decay of AdamW's first moment; 0.9 in PyTorch.
    pub beta1: f64,
    /// Decay of AdamW's second moment; 0.999 in PyTorch.
    pub beta2: f64,
    /// AdamW's epsilon; 1e-8 in PyTorch, 1e-6 in BERT and SOHO.
    pub epsilon: f64,
    /// Where AdamW adds epsilon, and when it decays weights.
    #[serde(default, skip_serializing_if = "AdamWRule::is_pytorch")]
    pub adamw: AdamWRule,
    /// Apply weight decay to norms and biases too; true in DETR and E2E-VLP.
    pub decay_norms_and_biases: bool,
    /// Global gradient norm to clip to, 0 for no clipping; 0.1 in DETR.
    pub clip_norm: f64,
    /// Type of AdamW's moments in memory and in checkpoints. `bf16` halves their size, which saves a quarter of the
    /// memory for weights, gradients and moments; not in the papers.
    #[serde(default, skip_serializing_if = "MomentDtype::is_f32")]
    pub moment_dtype: MomentDtype,
    /// Parameter groups. The last matching group applies.
    #[serde(default)]
    pub groups: Vec<GroupConfig>,
}

/// Type in which AdamW's moments are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MomentDtype {
    /// 32-bit floats, the type in which they are computed.
    #[default]
    F32,
    /// bfloat16 with stochastic rounding, so that updates below the last bit still add up.
    Bf16,
}

impl MomentDtype {
    fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

impl Default for OptimizerConfig {
    /// The values of DETR and E2E-VLP, without a group for the backbone.
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            weight_decay: 1e-4,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            adamw: AdamWRule::PyTorch,
            decay_norms_and_biases: true,
            clip_norm: 0.1,
            moment_dtype: MomentDtype::F32,
            groups: vec![],
        }
    }
}

impl OptimizerConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a value out of range.
    pub fn validate(&self) -> Result<(), TrainError> {
        let fail = |key: &str, value: f64, hint: &str| {
            Err(TrainError::Config {
                key: format!("optimizer.{key}"),
                value: value.to_string(),
                hint: hint.into(),
            })
        };
        let group_rates = self.groups.iter().map(|g| g.learning_rate);
        for rate in std::iter::once(self.learning_rate).chain(group_rates) {
            if !rate.is_finite() || rate < 0.0 {
                let hint = "use a finite number of at least 0, such as 1e-4";
                return fail("learning_rate", rate, hint);
            }
        }
        let group_decays = self.groups.iter().map(|g| g.weight_decay);
        for decay in std::iter::once(self.weight_decay).chain(group_decays) {
            if !decay.is_finite() || decay < 0.0 {
                let hint = "use a finite number of at least 0, such as 1e-4";
                return fail("weight_decay", decay, hint);
            }
        }
        for fraction in self.groups.iter().map(|g| g.frozen_until) {
            if !(0.0..=1.0).contains(&fraction) {
                let hint = "use a fraction of the run between 0 and 1 (0.25 in SOHO)";
                return fail("groups.frozen_until", fraction, hint);
            }
        }
        for group in &self.groups {
            if let OptimizerKind::Sgd { momentum } = group.kind
                && !(0.0..1.0).contains(&momentum)
            {
                let hint = "use at least 0 and less than 1 (0.9 in SOHO)";
                return fail("groups.kind.momentum", momentum, hint);
            }
        }
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return fail(key, beta, "use at least 0 and less than 1 (0.9 and 0.999)");
            }
        }
        if !self.epsilon.is_finite() || self.epsilon <= 0.0 {
            return fail(
                "epsilon",
                self.epsilon,
                "use a small positive number, such as 1e-8",
            );
        }
        if !self.clip_norm.is_finite() || self.clip_norm < 0.0 {
            let hint = "use 0 for no clipping, or the maximum norm (0.1 in DETR)";
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
            rule: self.adamw,
            weight_decay: weight_decay as f32,
            bf16_moments: self.moment_dtype == MomentDtype::Bf16,
        }
    }

    /// Builds the optimizer with empty state. It multiplies gradients by `grad_scale`; to clip them to `clip_norm`, call
    /// [`GradScale::clip`] before each step.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a pattern that is not a regular expression.
    pub fn init(&self, grad_scale: &GradScale) -> Result<ModuleOptimizer, TrainError> {
        let mut optimizer = ModuleOptimizer::from(self.adamw(self.weight_decay, grad_scale));
        if !self.decay_norms_and_biases {
            optimizer =
                optimizer.with_group(param_group(NO_DECAY)?, self.adamw(0.0, grad_scale), None);
        }
        for group in &self.groups {
            let add = |optimizer: ModuleOptimizer, params: ParamGroup, weight_decay: f64| {
                match group.kind {
                    OptimizerKind::Adamw => {
                        optimizer.with_group(params, self.adamw(weight_decay, grad_scale), None)
                    }
                    OptimizerKind::Sgd { momentum } => {
                        let sgd = Sgd {
                            grad_scale: grad_scale.clone(),
                            momentum: momentum as f32,
                            weight_decay: weight_decay as f32,
                        };
                        optimizer.with_group(params, sgd, None)
                    }
                }
            };
            optimizer = add(optimizer, param_group(&group.pattern)?, group.weight_decay);
            if !self.decay_norms_and_biases {
                let no_decay = ParamGroup::from_regexes(vec![group.pattern.as_str(), NO_DECAY]);
                let no_decay = no_decay.map_err(|e| TrainError::Config {
                    key: "optimizer.groups.pattern".into(),
                    value: group.pattern.clone(),
                    hint: format!("{e:?}"),
                })?;
                optimizer = add(optimizer, no_decay, 0.0);
            }
        }
        Ok(optimizer)
    }

    /// Learning rates of all parameters, multiplied by `lr_factor`.
    ///
    /// # Errors
    /// [`TrainError::Config`] for a pattern that is not a regular expression.
    pub fn learning_rates(&self, lr_factor: f64) -> Result<ModuleLearningRate, TrainError> {
        Ok(ParamGroups::new(self.learning_rate, &self.groups)?.learning_rates(lr_factor))
    }
}
