//! Loading parameters by path.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::params::{ParamMapper, map_params, with_data};

/// Loads values into the parameters of the same path.
#[derive(Debug, Default)]
pub(crate) struct ParamLoader {
    /// Values by path; those that no parameter takes remain.
    pub(crate) values: BTreeMap<String, TensorData>,
    /// Number of loaded parameters.
    pub(crate) loaded: usize,
    /// Paths of parameters without a value.
    pub(crate) missing: Vec<String>,
    /// A message for each value of another shape.
    pub(crate) mismatches: Vec<String>,
}

impl ParamLoader {
    pub(crate) fn new(values: BTreeMap<String, TensorData>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// `module` with the values loaded.
    pub(crate) fn load<M: Module>(&mut self, module: M) -> M {
        map_params(module, self)
    }
}

impl ParamMapper for ParamLoader {
    fn map<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.values.remove(path) else {
            self.missing.push(path.into());
            return param;
        };
        let (shape, expected) = (data.shape(), param.lazy_shape());
        if *shape != expected {
            let (shape, expected) = (shape.to_vec(), expected.to_vec());
            self.mismatches
                .push(format!("{path} has shape {shape:?}, not {expected:?}"));
            return param;
        }
        self.loaded += 1;
        with_data(param, data)
    }
}
