//! Multi-tensor updates: on a GPU a few kernels update all parameters in place.
//!
//! burn's optimizer visits the parameters and updates one at a time. Here it visits them twice: the first visit puts each
//! parameter on a list, the second one returns the result to it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::{AdamWStep, AdamWUpdate, SgdStep, SgdUpdate, UpdateControl, adamw_all, sgd_all};

use crate::placeholders::Placeholders;

/// What the optimizers of one [`ModuleOptimizer`] do with the parameters that they visit. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpdateList(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    walk: Walk,
    adamw: Vec<AdamWUpdate>,
    sgd: Vec<SgdUpdate>,
    adamw_results: IntoIter<[Value; 3]>,
    sgd_results: IntoIter<[Value; 2]>,
    step_numbers: Vec<i32>,
    placeholders: Placeholders,
}

/// The purpose of a visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Each parameter is updated at once.
    #[default]
    Update,
    /// Parameters are put on the list and replaced by placeholders.
    List,
    /// Placeholders are replaced by the results.
    Return,
    /// An update that did not take place is not counted.
    Undo,
    /// Updates that took place without a visit are counted.
    Count(usize),
    /// The numbers of AdamW's next updates are listed.
    ListNumbers,
    /// Moments and velocities are replaced by copies.
    CopyStates,
}

/// What a step did to the parameters on the list, in its order.
#[derive(Debug, Default)]
pub(crate) struct ListedSteps {
    pub(crate) adamw: Vec<AdamWStep>,
    pub(crate) sgd: Vec<SgdStep>,
    /// Whether a moment or a velocity was new; without momentum there is none.
    pub(crate) has_new_states: bool,
    /// Parameters, moments and velocities after the step.
    pub(crate) results: Vec<Value>,
}

impl UpdateList {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn walk(&self) -> Walk {
        self.state().walk
    }

    pub(crate) fn push_adamw(&self, update: AdamWUpdate) {
        self.state().adamw.push(update);
    }

    pub(crate) fn push_sgd(&self, update: SgdUpdate) {
        self.state().sgd.push(update);
    }

    pub(crate) fn push_step_number(&self, number: i32) {
        self.state().step_numbers.push(number);
    }

    pub(crate) fn next_adamw(&self) -> Option<[Value; 3]> {
        self.state().adamw_results.next()
    }

    pub(crate) fn next_sgd(&self) -> Option<[Value; 2]> {
        self.state().sgd_results.next()
    }

    pub(crate) fn placeholder<const D: usize>(&self, device: &Device) -> Tensor<D> {
        self.state().placeholders.get(device)
    }

    /// One step of `optimizer`, whose optimizers share this list, as `control` says.
    pub(crate) fn step<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        grads: GradientsParams,
        control: &UpdateControl,
    ) -> M {
        self.step_and_list(optimizer, learning_rates, model, grads, control)
            .0
    }

    /// As [`Self::step`]; also returns what it did.
    pub(crate) fn step_and_list<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        grads: GradientsParams,
        control: &UpdateControl,
    ) -> (M, ListedSteps) {
        let placeholders = self.placeholder_grads(&model, &param_ids(&model, &grads));
        self.state().walk = Walk::List;
        let model = optimizer.step(learning_rates.clone(), model, grads);
        let (adamw, sgd) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.adamw),
                std::mem::take(&mut state.sgd),
            )
        };
        let has_new_velocity =
            |update: &SgdUpdate| update.velocity.is_none() && update.step.momentum > 0.0;
        let mut listed = ListedSteps {
            adamw: adamw.iter().map(|update| update.step).collect(),
            sgd: sgd.iter().map(|update| update.step).collect(),
            has_new_states: adamw.iter().any(|update| update.moments.is_none())
                || sgd.iter().any(has_new_velocity),
            results: vec![],
        };
        let (adamw, sgd) = (adamw_all(adamw, control), sgd_all(sgd, control));
        let results = adamw.iter().flatten().chain(sgd.iter().flatten());
        listed.results = results.cloned().collect();
        {
            let mut state = self.state();
            state.walk = Walk::Return;
            state.adamw_results = adamw.into_iter();
            state.sgd_results = sgd.into_iter();
        }
        let model = optimizer.step(learning_rates, model, placeholders);
        self.end();
        (model, listed)
    }

    /// After a step by `grads` that `control` did not let take place: it is not counted.
    pub(crate) fn undo<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        grads: &GradientsParams,
    ) -> M {
        let params = param_ids(&model, grads);
        self.visit(Walk::Undo, optimizer, learning_rates, model, &params)
            .0
    }

    /// After `count` updates of `params` that the optimizer has not visited: they are counted.
    pub(crate) fn count<M: Module>(
        &self,
        count: usize,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        params: &HashSet<ParamId>,
    ) {
        let walk = Walk::Count(count);
        self.visit(walk, optimizer, learning_rates, model, params);
    }

    /// The numbers of AdamW's next updates of `params`, in the order of the list.
    pub(crate) fn step_numbers<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        params: &HashSet<ParamId>,
    ) -> Vec<i32> {
        let walk = Walk::ListNumbers;
        self.visit(walk, optimizer, learning_rates, model, params).1
    }

    /// Replaces the moments and velocities of `params` by copies.
    pub(crate) fn copy_states<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        params: &HashSet<ParamId>,
    ) {
        self.visit(Walk::CopyStates, optimizer, learning_rates, model, params);
    }

    /// A visit that changes no parameter, and the numbers that it lists.
    fn visit<M: Module>(
        &self,
        walk: Walk,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        params: &HashSet<ParamId>,
    ) -> (M, Vec<i32>) {
        let placeholders = self.placeholder_grads(&model, params);
        self.state().walk = walk;
        let model = optimizer.step(learning_rates, model, placeholders);
        let numbers = std::mem::take(&mut self.state().step_numbers);
        self.end();
        (model, numbers)
    }

    /// Ends a visit, also one that was interrupted by a panic.
    pub(crate) fn end(&self) {
        *self.state() = State::default();
    }

    /// A placeholder for the gradient of each of `params`: the optimizer visits parameters with gradients alone.
    fn placeholder_grads<M: Module>(
        &self,
        model: &M,
        params: &HashSet<ParamId>,
    ) -> GradientsParams {
        let mut visitor = PlaceholderGrads {
            list: self,
            params,
            placeholders: GradientsParams::new(),
        };
        model.visit(&mut visitor);
        visitor.placeholders
    }
}

struct PlaceholderGrads<'a> {
    list: &'a UpdateList,
    params: &'a HashSet<ParamId>,
    placeholders: GradientsParams,
}

impl ModuleVisitor for PlaceholderGrads<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.params.contains(&param.id) {
            let device = param.val().device().inner();
            let placeholder = self.list.placeholder::<D>(&device);
            self.placeholders.register(param.id, placeholder);
        }
    }
}

struct ListParams<'a> {
    grads: &'a GradientsParams,
    params: HashSet<ParamId>,
}

impl ModuleVisitor for ListParams<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.grads.get::<D>(param.id).is_some() {
            self.params.insert(param.id);
        }
    }
}

/// The parameters with gradients.
pub(crate) fn param_ids<M: Module>(model: &M, grads: &GradientsParams) -> HashSet<ParamId> {
    let mut visitor = ListParams {
        grads,
        params: HashSet::new(),
    };
    model.visit(&mut visitor);
    visitor.params
}
