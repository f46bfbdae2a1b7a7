//! A case on disk: JSON and tensors.

use std::collections::BTreeMap;
use std::path::Path;

use burn::prelude::*;
use burn::tensor::TensorData;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A tensor of any type as f64, which holds f32 values, ids and masks exactly.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Values {
    /// Sizes, outermost first; none for a scalar.
    pub(crate) shape: Vec<usize>,
    /// Row-major values.
    pub(crate) values: Vec<f64>,
}

pub(crate) struct Case {
    pub(crate) json: Value,
    pub(crate) tensors: BTreeMap<String, Values>,
}

/// Names of all cases of a folder, sorted.
pub(crate) fn discover(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter(|path| path.with_extension("safetensors").is_file())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

impl Case {
    pub(crate) fn load(folder: &Path, name: &str) -> Result<Self, String> {
        let read = |extension: &str| {
            let path = folder.join(format!("{name}.{extension}"));
            std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let json =
            serde_json::from_slice(&read("json")?).map_err(|e| format!("{name}.json: {e}"))?;
        let bytes = read("safetensors")?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| format!("{name}: {e}"))?;
        let mut tensors = BTreeMap::new();
        for (key, view) in file.tensors() {
            let data = view.data();
            let values = match view.dtype() {
                Dtype::F32 => numbers(data, |b| f64::from(f32::from_le_bytes(b))),
                Dtype::F64 => numbers(data, f64::from_le_bytes),
                Dtype::I64 => numbers(data, |b| i64::from_le_bytes(b) as f64),
                Dtype::BOOL => numbers(data, |[b]| f64::from(b)),
                other => return Err(format!("{key}: a tensor of type {other:?}")),
            };
            let shape = view.shape().to_vec();
            tensors.insert(key, Values { shape, values });
        }
        Ok(Self { json, tensors })
    }

    pub(crate) fn get(&self, key: &str) -> Result<&Values, String> {
        self.tensors
            .get(key)
            .ok_or_else(|| format!("no tensor {key}"))
    }

    /// All tensors whose name starts with `prefix`, without it.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &str) -> BTreeMap<&'a str, &'a Values> {
        self.tensors
            .iter()
            .filter_map(|(key, values)| Some((key.strip_prefix(prefix)?, values)))
            .collect()
    }
}

fn numbers<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes
        .chunks_exact(N)
        .map(|b| value(b.try_into().unwrap()))
        .collect()
}

impl Values {
    fn dims<const D: usize>(&self) -> [usize; D] {
        self.shape
            .clone()
            .try_into()
            .unwrap_or_else(|shape: Vec<usize>| panic!("expected {D} dimensions, got {shape:?}"))
    }

    pub(crate) fn floats(&self) -> Vec<f32> {
        self.values.iter().map(|&v| v as f32).collect()
    }

    pub(crate) fn float<const D: usize>(&self, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.floats(), self.dims::<D>()), device)
    }

    pub(crate) fn int<const D: usize>(&self, device: &Device) -> Tensor<D, Int> {
        let values: Vec<i32> = self.values.iter().map(|&v| v as i32).collect();
        Tensor::from_data(TensorData::new(values, self.dims::<D>()), device)
    }

    pub(crate) fn mask<const D: usize>(&self, device: &Device) -> Tensor<D, Bool> {
        let values: Vec<bool> = self.values.iter().map(|&v| v != 0.0).collect();
        Tensor::from_data(TensorData::new(values, self.dims::<D>()), device)
    }

    /// Rows along the last dimension.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        let width = self.shape.last().copied().unwrap_or(1).max(1);
        self.values.chunks(width)
    }

    pub(crate) fn scalar(value: f64) -> Self {
        Self {
            shape: vec![],
            values: vec![value],
        }
    }

    pub(crate) fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            values: tensor.into_data().iter::<f32>().map(f64::from).collect(),
        }
    }

    pub(crate) fn of_mask<const D: usize>(tensor: Tensor<D, Bool>) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            values: tensor
                .int()
                .into_data()
                .iter::<i64>()
                .map(|v| v as f64)
                .collect(),
        }
    }
}
