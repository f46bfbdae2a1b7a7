//! Values of a module's parameters, to average or restore them.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::prelude::*;
use vlp_ops::capture::{Value, copy_tensor};
use vlp_ops::is_same_tensor;
use vlp_ops::params::{ParamVisitor, visit_params};

/// Float tensors of a module by parameter id. Clones share their memory.
#[derive(Default)]
pub(crate) struct ParamValues {
    tensors: HashMap<ParamId, Box<dyn Any + Send>>,
}

impl ParamValues {
    /// Collects the parameters and buffers whose own name starts with `prefix`; all for `""`.
    pub(crate) fn collect<M: Module>(module: &M, prefix: &'static str) -> Self {
        let values = Self::default();
        let mut collect = Collect { values, prefix };
        visit_params(module, &mut collect);
        collect.values
    }

    /// Whether the own name of a parameter with this path starts with `prefix`.
    pub(crate) fn has_prefix(path: &str, prefix: &str) -> bool {
        let name = path.rsplit('.').next().unwrap_or(path);
        name.starts_with(prefix)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ParamId> {
        self.tensors.keys().copied()
    }

    pub(crate) fn get<const D: usize>(&self, id: ParamId) -> Option<Tensor<D>> {
        self.tensors
            .get(&id)
            .and_then(|t| t.downcast_ref::<Tensor<D>>())
            .cloned()
    }

    pub(crate) fn insert<const D: usize>(&mut self, id: ParamId, value: Tensor<D>) {
        self.tensors.insert(id, Box::new(value));
    }

    /// The module with the collected values.
    pub(crate) fn restore<M: Module>(&self, module: M) -> M {
        module.map(&mut Restore(self))
    }

    /// Sums of the values that are in both.
    pub(crate) fn add<M: Module>(&self, other: &Self, module: &M) -> Self {
        let mut add = Add {
            left: self,
            right: other,
            sums: Self::default(),
        };
        module.visit(&mut add);
        add.sums
    }

    /// The values divided by `count`, for the parameters that are true in `selected`, which has one entry for each float
    /// parameter of the module.
    pub(crate) fn mean<M: Module>(&self, selected: &[bool], count: usize, module: &M) -> Self {
        let mut mean = Mean {
            sums: self,
            selected: selected.iter(),
            count,
            means: Self::default(),
        };
        module.visit(&mut mean);
        mean.means
    }

    /// Copies in their own memory.
    pub(crate) fn copied<M: Module>(&self, module: &M) -> Self {
        let mut copy = Copy {
            values: self,
            copies: Self::default(),
        };
        module.visit(&mut copy);
        copy.copies
    }

    /// Each value here with that in `after`, if it is another tensor.
    pub(crate) fn changed_pairs<M: Module>(&self, after: &Self, module: &M) -> Vec<[Value; 2]> {
        let mut pairs = ChangedPairs {
            before: self,
            after,
            pairs: vec![],
        };
        module.visit(&mut pairs);
        pairs.pairs
    }

    /// For each float parameter of the module, whether its tensor here differs from that in `other`.
    pub(crate) fn changed_since<M: Module>(&self, other: &Self, module: &M) -> Vec<bool> {
        let mut changed = Changed {
            before: other,
            after: self,
            changed: vec![],
        };
        module.visit(&mut changed);
        changed.changed
    }
}

struct Collect {
    values: ParamValues,
    prefix: &'static str,
}

impl ParamVisitor for Collect {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if ParamValues::has_prefix(path, self.prefix) {
            let value = param.val().without_autodiff();
            self.values.insert(param.id, value);
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

struct Add<'a> {
    left: &'a ParamValues,
    right: &'a ParamValues,
    sums: ParamValues,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let id = param.id;
        if let (Some(left), Some(right)) = (self.left.get::<D>(id), self.right.get(id)) {
            self.sums.insert(id, left + right);
        }
    }
}

struct Mean<'a> {
    sums: &'a ParamValues,
    selected: std::slice::Iter<'a, bool>,
    count: usize,
    means: ParamValues,
}

impl ModuleVisitor for Mean<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.selected.next() == Some(&true)
            && let Some(sum) = self.sums.get::<D>(param.id)
        {
            let mean = sum.div_scalar(self.count as f64);
            self.means.insert(param.id, mean);
        }
    }
}

struct Copy<'a> {
    values: &'a ParamValues,
    copies: ParamValues,
}

impl ModuleVisitor for Copy<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(value) = self.values.get::<D>(param.id) {
            self.copies.insert(param.id, copy_tensor(&value));
        }
    }
}

struct ChangedPairs<'a> {
    before: &'a ParamValues,
    after: &'a ParamValues,
    pairs: Vec<[Value; 2]>,
}

impl ModuleVisitor for ChangedPairs<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let id = param.id;
        if let (Some(before), Some(after)) = (self.before.get::<D>(id), self.after.get(id))
            && !is_same_tensor(&before, &after)
        {
            self.pairs.push([before.into(), after.into()]);
        }
    }
}

struct Changed<'a> {
    before: &'a ParamValues,
    after: &'a ParamValues,
    changed: Vec<bool>,
}

impl ModuleVisitor for Changed<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let id = param.id;
        let changed = match (self.before.get::<D>(id), self.after.get(id)) {
            (Some(before), Some(after)) => !is_same_tensor(&before, &after),
            _ => false,
        };
        self.changed.push(changed);
    }
}
