//! Assignment of a file's tensors to a module's parameters, before any values are read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use crate::convert::{Conversion, expected_shape};
use crate::error::{ShapeMismatch, WeightsError};
use crate::layout::{CheckpointLayout, Rows, TensorSource};
use crate::weights_file::{TensorInfo, WeightsFile};

/// A parameter whose values are copied from a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorCopy {
    /// Path of the parameter.
    pub parameter: String,
    /// Shape of the parameter.
    pub shape: Vec<usize>,
    /// Name of the tensor in the file.
    pub tensor: String,
    /// Which rows of the tensor, and whether they are transposed.
    pub source: TensorSource,
}

/// All parameters of a module and all tensors of a file, each in exactly one of these lists.
///
/// Tensors have their names in the file. [`WeightsFile::read_parameter`] reads the values.
#[derive(Debug)]
#[non_exhaustive]
pub struct ImportPlan {
    /// Layout of the file.
    pub layout: CheckpointLayout,
    /// Parameters that the file has values for.
    pub copies: Vec<TensorCopy>,
    /// Tensors whose shape does not match their parameter, for example another vocabulary size.
    pub mismatches: Vec<ShapeMismatch>,
    /// Parameters that this layout has but this file lacks, each with the name of the expected tensor.
    pub missing: Vec<(String, String)>,
    /// Parameters that this layout does not have; they keep their values.
    pub untouched: Vec<String>,
    /// Tensors that are ignored on purpose, each with the reason.
    pub unused: Vec<(String, &'static str)>,
    /// Tensors of layers or heads that this layout has and this module does not.
    pub surplus: Vec<String>,
    /// Tensors that are not part of this layout.
    pub unknown: Vec<String>,
}

impl ImportPlan {
    /// Finds the tensor of each parameter. `parameters` are paths and shapes, such as
    /// `("model.encoder.layers.0.attention.query.weight", [768, 768])`.
    pub fn new(
        layout: CheckpointLayout,
        file: &WeightsFile,
        parameters: impl IntoIterator<Item = (String, Vec<usize>)>,
    ) -> Self {
        let mut plan = Self {
            layout,
            copies: vec![],
            mismatches: vec![],
            missing: vec![],
            untouched: vec![],
            unused: vec![],
            surplus: vec![],
            unknown: vec![],
        };
        // By canonical name: the name in the file, and whether a parameter uses the tensor.
        let mut tensors: BTreeMap<String, (&str, &TensorInfo, bool)> = BTreeMap::new();
        for (name, info) in file.tensors() {
            match tensors.entry(layout.canonical_name(name)) {
                Entry::Vacant(entry) => {
                    entry.insert((name, info, false));
                }
                // Two spellings of one name: the file holds two models.
                Entry::Occupied(_) => plan.unknown.push(name.to_owned()),
            }
        }
        for (path, shape) in parameters {
            let Some(source) = layout.source(&path) else {
                plan.untouched.push(path);
                continue;
            };
            let alias = layout.alias(&source.name);
            let exists = |name: &&str| tensors.contains_key(*name);
            let name = Some(source.name.as_str())
                .filter(exists)
                .or(alias.filter(exists))
                .map(str::to_owned);
            let Some((tensor, info, used)) = name.and_then(|name| tensors.get_mut(&name)) else {
                plan.missing.push((path, source.name));
                continue;
            };
            *used = true;
            let copy = TensorCopy {
                parameter: path,
                shape,
                tensor: (*tensor).to_owned(),
                source,
            };
            match file.conversion(info, &copy) {
                Ok(_) => plan.copies.push(copy),
                Err(mismatch) => plan.mismatches.push(*mismatch),
            }
        }
        plan.keep_other_class_heads();
        let patterns = layout.patterns();
        for (canonical, (name, _, used)) in tensors {
            let name = name.to_owned();
            if used {
                continue;
            }
            if let Some(reason) = layout.unused_reason(&canonical) {
                plan.unused.push((name, reason));
            } else if patterns.contains(&CheckpointLayout::pattern(&canonical)) {
                plan.surplus.push(name);
            } else {
                plan.unknown.push(name);
            }
        }
        plan
    }

    /// If one of several class heads has the file's classes, those for other classes keep their values.
    fn keep_other_class_heads(&mut self) {
        let is_class_head = |source: &TensorSource| source.rows == Rows::CocoClasses;
        if !self.copies.iter().any(|copy| is_class_head(&copy.source)) {
            return;
        }
        let layout = self.layout;
        let is_other = |mismatch: &mut ShapeMismatch| {
            let source = layout.source(&mismatch.parameter);
            source.is_some_and(|source| is_class_head(&source))
        };
        let others = self.mismatches.extract_if(.., is_other);
        self.untouched.extend(others.map(|other| other.parameter));
    }
}

impl fmt::Display for ImportPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} parameters from the file, {} shape mismatches, {} missing, {} untouched; other tensors: {} unused, \
             {} of layers that the model lacks, {} unknown",
            self.layout,
            self.copies.len(),
            self.mismatches.len(),
            self.missing.len(),
            self.untouched.len(),
            self.unused.len(),
            self.surplus.len(),
            self.unknown.len()
        )
    }
}

impl WeightsFile {
    /// Reads the values of a parameter, row-major in the parameter's own shape.
    ///
    /// # Errors
    /// [`WeightsError::Shape`] with both shapes and the expected one, [`WeightsError::Tensor`] if a value is NaN or
    /// infinite as `f32`, and those of [`WeightsFile::read_f32`].
    pub fn read_parameter(&self, copy: &TensorCopy) -> Result<Vec<f32>, WeightsError> {
        let info = self.info(&copy.tensor)?;
        let conversion = self.conversion(info, copy)?;
        let values = conversion.apply(&self.read_f32(&copy.tensor)?);
        match values.iter().filter(|value| !value.is_finite()).count() {
            0 => Ok(values),
            count => Err(WeightsError::Tensor {
                path: self.path().into(),
                tensor: copy.tensor.clone(),
                dtype: info.dtype,
                shape: info.shape.clone(),
                reason: format!("{count} values are NaN or infinite"),
            }),
        }
    }

    fn conversion(
        &self,
        info: &TensorInfo,
        copy: &TensorCopy,
    ) -> Result<Conversion, Box<ShapeMismatch>> {
        Conversion::new(&copy.source, &info.shape, &copy.shape).ok_or_else(|| {
            Box::new(ShapeMismatch {
                path: self.path().into(),
                tensor: copy.tensor.clone(),
                dtype: info.dtype,
                tensor_shape: info.shape.clone(),
                parameter: copy.parameter.clone(),
                parameter_shape: copy.shape.clone(),
                expected: expected_shape(&copy.source, &copy.shape),
            })
        })
    }
}
