//! Weights of a module into a file and back, under the paths they have here.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_weights::{SafetensorsWriter, WeightsFile};

use crate::error::PeerError;

/// Values by path.
pub(crate) type Values = BTreeMap<String, TensorData>;

/// Every float parameter and state of `module`.
pub(crate) fn values<M: Module>(module: &M) -> Values {
    let mut all = Collect::default();
    module.visit(&mut all);
    all.found
}

/// Writes `values` as f32 safetensors.
pub(crate) fn write(values: &Values, file: &Path) -> Result<(), PeerError> {
    let shapes = values.iter();
    let shapes = shapes.map(|(path, data)| (path.clone(), data.shape().to_vec()));
    let mut writer = SafetensorsWriter::create(file, &shapes.collect(), &BTreeMap::new())?;
    for (path, data) in values {
        writer.write(path, &data.iter::<f32>().collect::<Vec<_>>())?;
    }
    Ok(writer.finish()?)
}

/// Fills every float parameter and state of `module` from a file that has them all.
pub(crate) fn fill<M: Module>(module: M, file: &Path) -> Result<M, PeerError> {
    let file = WeightsFile::open(file)?;
    fill_with(module, |path| Ok(file.read_f32(path)?))
}

/// Fills every float parameter and state of `module` by what `value` gives for its path.
pub(crate) fn fill_with<M: Module>(
    module: M,
    value: impl Fn(&str) -> Result<Vec<f32>, PeerError>,
) -> Result<M, PeerError> {
    let mut fill = Fill {
        path: vec![],
        value,
        failed: None,
    };
    let module = module.map(&mut fill);
    fill.failed.map_or(Ok(module), Err)
}

#[derive(Default)]
struct Collect {
    path: Vec<String>,
    found: Values,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        self.found.insert(self.path.join("."), data);
    }
}

struct Fill<F> {
    path: Vec<String>,
    value: F,
    failed: Option<PeerError>,
}

impl<F: Fn(&str) -> Result<Vec<f32>, PeerError>> ModuleMapper for Fill<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (path, shape) = (self.path.join("."), param.lazy_shape());
        let values = (self.value)(&path).and_then(|values| {
            let (count, expected) = (values.len(), shape.num_elements());
            let reason = || format!("has {count} values; the model takes {shape:?}");
            (count == expected)
                .then_some(values)
                .ok_or_else(|| PeerError::Input {
                    name: path.clone(),
                    reason: reason(),
                })
        });
        match values {
            Ok(values) => param.map(|old| {
                let data = TensorData::new(values, old.shape());
                let value = Tensor::from_data(data, &old.device());
                value.set_require_grad(old.is_require_grad())
            }),
            Err(error) => {
                self.failed.get_or_insert(error);
                param
            }
        }
    }
}
