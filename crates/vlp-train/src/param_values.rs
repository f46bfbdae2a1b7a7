//! Values of a module's parameters, to average or restore them.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::prelude::*;
use vlp_ops::params::{ParamVisitor, visit_params};

/// Float tensors of a module by parameter id. Clones share their memory.
pub(crate) struct ParamValues {
    tensors: HashMap<ParamId, Box<dyn Any + Send>>,
    prefix: &'static str,
}

impl ParamValues {
    /// Collects the parameters and buffers whose own name starts with `prefix`; all for `""`.
    pub(crate) fn collect<M: Module>(module: &M, prefix: &'static str) -> Self {
        let mut values = Self {
            tensors: HashMap::new(),
            prefix,
        };
        visit_params(module, &mut values);
        values
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    pub(crate) fn get<const D: usize>(&self, id: ParamId) -> Option<Tensor<D>> {
        self.tensors
            .get(&id)
            .and_then(|t| t.downcast_ref::<Tensor<D>>())
            .cloned()
    }

    /// The module with the collected values.
    pub(crate) fn restore<M: Module>(&self, module: M) -> M {
        module.map(&mut Restore(self))
    }
}

impl ParamVisitor for ParamValues {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let name = path.rsplit('.').next().unwrap_or(path);
        if name.starts_with(self.prefix) {
            self.tensors
                .insert(param.id, Box::new(param.val().without_autodiff()));
        }
    }
}

struct Restore<'a>(&'a ParamValues);

impl ModuleMapper for Restore<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get::<D>(param.id) {
            Some(value) => param.map(|old| {
                let value = if old.is_autodiff() {
                    Tensor::from_inner(value)
                } else {
                    value
                };
                value.set_require_grad(old.is_require_grad())
            }),
            None => param,
        }
    }
}
