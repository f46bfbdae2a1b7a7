//! Visits and maps the float parameters of a module together with their paths.
//!
//! burn's [`ModuleVisitor`] and [`ModuleMapper`] pass names of submodules one at a time through `enter_module` and
//! `exit_module`; the functions here join them to paths such as `encoder.layers.0.attention.query.weight`.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;

/// Called for each float parameter and buffer of a module by [`visit_params`].
pub trait ParamVisitor {
    /// `path` is made of field names and indices joined by dots.
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>);
}

/// Called for each float parameter and buffer of a module by [`map_params`].
pub trait ParamMapper {
    /// Returns the parameter that replaces `param`; `path` is made of field names and indices joined by dots.
    fn map<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// Visits all float parameters and buffers of `module` in the order of its fields. Lazily initialized parameters stay
/// uninitialized unless the visitor reads their values.
pub fn visit_params<M: Module>(module: &M, visitor: &mut impl ParamVisitor) {
    module.visit(&mut WithPath::new(visitor));
}

/// Replaces all float parameters and buffers of `module` with those that the mapper returns.
pub fn map_params<M: Module>(module: M, mapper: &mut impl ParamMapper) -> M {
    module.map(&mut WithPath::new(mapper))
}

/// `param` with other values; its device, id and `require_grad` do not change.
///
/// # Panics
/// If the shape of `data` is not the parameter's.
pub fn with_data<const D: usize>(param: Param<Tensor<D>>, data: TensorData) -> Param<Tensor<D>> {
    assert_eq!(
        data.shape(),
        &param.lazy_shape(),
        "shape of a parameter's values"
    );
    param.map(|old| Tensor::from_data(data, &old.device()).set_require_grad(old.is_require_grad()))
}

/// A copy of `module` with the same ids and values, whose parameters are leaves of their own in autodiff's graph: both can run
/// and take their gradients apart.
///
/// burn's [`Module::fork`] to the device of a module records a copy of each parameter in the parameter's own graph, where it
/// stays as long as the parameter. A parameter that no loss reads is never replaced by an optimizer, so that a record would
/// be added at each step, and every backward pass looks at all of them.
pub fn copy_leaves<M: Module>(module: &M) -> M {
    struct Leaves;
    impl ModuleMapper for Leaves {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| match value.is_require_grad() {
                true => Tensor::from_inner(value.inner()).require_grad(),
                false => value,
            })
        }
    }
    module.clone().map(&mut Leaves)
}

struct WithPath<'a, T> {
    /// Names, each followed by a dot.
    path: String,
    inner: &'a mut T,
}

impl<'a, T> WithPath<'a, T> {
    fn new(inner: &'a mut T) -> Self {
        Self {
            path: String::new(),
            inner,
        }
    }

    fn enter(&mut self, name: &str) {
        self.path.push_str(name);
        self.path.push('.');
    }

    fn exit(&mut self, name: &str) {
        self.path.truncate(self.path.len() - name.len() - 1);
    }

    fn parts(&mut self) -> (&str, &mut T) {
        (self.path.strip_suffix('.').unwrap_or_default(), self.inner)
    }
}

impl<T: ParamVisitor> ModuleVisitor for WithPath<'_, T> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.enter(name);
    }

    fn exit_module(&mut self, name: &str, _container_type: &str) {
        self.exit(name);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (path, visitor) = self.parts();
        visitor.visit(path, param);
    }
}

impl<T: ParamMapper> ModuleMapper for WithPath<'_, T> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.enter(name);
    }

    fn exit_module(&mut self, name: &str, _container_type: &str) {
        self.exit(name);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (path, mapper) = self.parts();
        mapper.map(path, param)
    }
}
