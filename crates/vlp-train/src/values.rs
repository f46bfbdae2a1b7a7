//! Tensors of a module by parameter, to compare, average or restore them.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::prelude::*;

/// Float tensors of a module; clones share their memory.
#[derive(Default)]
pub(crate) struct Values {
    tensors: HashMap<ParamId, Box<dyn Any + Send>>,
    path: Vec<String>,
    only: &'static str,
}

impl Values {
    /// Parameters and buffers whose name starts with `only`; all of them for "".
    pub(crate) fn collect<M: Module>(module: &M, only: &'static str) -> Self {
        let mut values = Self {
            only,
            ..Self::default()
        };
        module.visit(&mut values);
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

    /// Puts the tensors back where they came from.
    pub(crate) fn restore<M: Module>(&self, module: M) -> M {
        module.map(&mut Restore(self))
    }
}

impl ModuleVisitor for Values {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self
            .path
            .last()
            .is_some_and(|name| name.starts_with(self.only))
        {
            self.tensors
                .insert(param.id, Box::new(param.val().without_autodiff()));
        }
    }
}

struct Restore<'a>(&'a Values);

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
