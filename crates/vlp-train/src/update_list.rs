//! Multi-tensor updates: on a GPU a few kernels update all parameters in place.
//!
//! burn's optimizer visits the parameters and updates one at a time. Here it visits them twice: the first visit puts each
//! parameter on a list, the second one returns the result to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::IntoIter;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use vlp_ops::capture::Value;
use vlp_ops::{AdamWUpdate, SgdUpdate, UpdateControl, adamw_all, sgd_all};

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
        let placeholders = self.placeholder_grads(&model, &grads);
        self.state().walk = Walk::List;
        let model = optimizer.step(learning_rates.clone(), model, grads);
        let (adamw, sgd) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.adamw),
                std::mem::take(&mut state.sgd),
            )
        };
        let (adamw, sgd) = (adamw_all(adamw, control), sgd_all(sgd, control));
        {
            let mut state = self.state();
            state.walk = Walk::Return;
            state.adamw_results = adamw.into_iter();
            state.sgd_results = sgd.into_iter();
        }
        let model = optimizer.step(learning_rates, model, placeholders);
        self.end();
        model
    }

    /// After a step by `grads` that `control` did not let take place: it is not counted.
    pub(crate) fn undo<M: Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        learning_rates: ModuleLearningRate,
        model: M,
        grads: &GradientsParams,
    ) -> M {
        let placeholders = self.placeholder_grads(&model, grads);
        self.state().walk = Walk::Undo;
        let model = optimizer.step(learning_rates, model, placeholders);
        self.end();
        model
    }

    fn end(&self) {
        *self.state() = State::default();
    }

    /// A placeholder for each gradient: the optimizer visits parameters with gradients alone.
    fn placeholder_grads<M: Module>(&self, model: &M, grads: &GradientsParams) -> GradientsParams {
        let mut visitor = PlaceholderGrads {
            list: self,
            grads,
            placeholders: GradientsParams::new(),
        };
        model.visit(&mut visitor);
        visitor.placeholders
    }
}

struct PlaceholderGrads<'a> {
    list: &'a UpdateList,
    grads: &'a GradientsParams,
    placeholders: GradientsParams,
}

impl ModuleVisitor for PlaceholderGrads<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let placeholder = self.list.placeholder::<D>(&grad.device());
            self.placeholders.register(param.id, placeholder);
        }
    }
}
