//! Parameter groups whose patterns are compiled, once for all steps.

use std::fmt;

use burn::module::{Module, Param, ParamGroup};
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::prelude::*;
use vlp_ops::params::{ParamVisitor, visit_params};

use crate::error::TrainError;
use crate::group_config::GroupConfig;

/// The parameters whose paths match `pattern`.
///
/// # Errors
/// [`TrainError::Config`] for a pattern that is not a regular expression.
pub(crate) fn param_group(pattern: &str) -> Result<ParamGroup, TrainError> {
    ParamGroup::from_regex(pattern).map_err(|e| TrainError::Config {
        key: "optimizer.groups.pattern".into(),
        value: pattern.into(),
        hint: format!("not a regular expression: {e:?}"),
    })
}

/// Learning rates and frozen groups.
pub(crate) struct ParamGroups {
    learning_rate: f64,
    groups: Vec<Group>,
}

struct Group {
    pattern: String,
    params: ParamGroup,
    learning_rate: f64,
    frozen_until: f64,
}

impl fmt::Debug for ParamGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParamGroups").finish_non_exhaustive()
    }
}

impl ParamGroups {
    pub(crate) fn new(learning_rate: f64, groups: &[GroupConfig]) -> Result<Self, TrainError> {
        let group = |group: &GroupConfig| {
            Ok(Group {
                pattern: group.pattern.clone(),
                params: param_group(&group.pattern)?,
                learning_rate: group.learning_rate,
                frozen_until: group.frozen_until,
            })
        };
        Ok(Self {
            learning_rate,
            groups: groups.iter().map(group).collect::<Result<_, _>>()?,
        })
    }

    /// Checks that every group has a parameter of `module`.
    ///
    /// # Errors
    /// [`TrainError::Config`] with a pattern that matches none.
    pub(crate) fn check_matches<M: Module>(&self, module: &M) -> Result<(), TrainError> {
        let mut unmatched = Unmatched {
            groups: self.groups.iter().collect(),
            last_path: String::new(),
        };
        visit_params(module, &mut unmatched);
        match unmatched.groups.first() {
            None => Ok(()),
            Some(group) => Err(TrainError::Config {
                key: "optimizer.groups.pattern".into(),
                value: group.pattern.clone(),
                hint: format!(
                    "matches no parameter; parameters have paths such as {}",
                    unmatched.last_path
                ),
            }),
        }
    }

    /// Groups that are frozen at `step` of `total_steps`, each without the parameters to which a later group applies.
    pub(crate) fn frozen(&self, step: u64, total_steps: u64) -> Vec<ParamGroup> {
        let progress = step as f64 / total_steps.max(1) as f64;
        let groups = self.groups.iter().enumerate();
        let frozen = groups.filter(|(_, group)| progress < group.frozen_until);
        let without_later = |(index, group): (usize, &Group)| {
            let later = self.groups[index + 1..].iter();
            later.fold(group.params.clone(), |params, later| {
                params.exclude(later.params.clone())
            })
        };
        frozen.map(without_later).collect()
    }

    /// Learning rates of all parameters, multiplied by `lr_factor`.
    pub(crate) fn learning_rates(&self, lr_factor: f64) -> ModuleLearningRate {
        let base = ModuleLrScheduler::new(self.learning_rate * lr_factor);
        let mut rates = self.groups.iter().fold(base, |rates, group| {
            rates.with_group(group.params.clone(), group.learning_rate * lr_factor)
        });
        rates.step()
    }
}

/// Groups for which no parameter has been found so far.
struct Unmatched<'a> {
    groups: Vec<&'a Group>,
    last_path: String,
}

impl ParamVisitor for Unmatched<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let id = &param.id;
        self.groups
            .retain(|group| !group.params.matches(id, Some(path)));
        path.clone_into(&mut self.last_path);
    }
}
