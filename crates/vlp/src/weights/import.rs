//! Importing ResNet, BERT, DETR and SOHO checkpoints of other projects.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use burn::module::{Module, Param};
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::params::{ParamMapper, ParamVisitor, map_params, visit_params, with_data};
use vlp_weights::{ImportPlan, TensorCopy, WeightsFile};

use crate::error::VlpError;

/// Maximum number of tensor names that a message lists.
const MAX_LISTED: usize = 8;

/// Paths and shapes of all float parameters and buffers of a module.
#[derive(Default)]
struct ShapeCollector(Vec<(String, Vec<usize>)>);

impl ParamVisitor for ShapeCollector {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().dims::<D>().to_vec();
        self.0.push((path.into(), shape));
    }
}

/// Copies tensors of a file into the parameters of a module.
struct TensorImporter<'a> {
    /// Copies by path of the parameter.
    copies: BTreeMap<&'a str, &'a TensorCopy>,
    file: &'a WeightsFile,
    /// The first error.
    error: Option<VlpError>,
}

impl ParamMapper for TensorImporter<'_> {
    fn map<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(copy) = self.copies.get(path) else {
            return param;
        };
        match self.file.read_parameter(copy) {
            Ok(values) => {
                let data = TensorData::new(values, param.lazy_shape());
                with_data(param, data)
            }
            Err(error) => {
                self.error.get_or_insert(error.into());
                param
            }
        }
    }
}

/// Copies the tensors of a checkpoint of another project into `module`. Returns a summary too.
///
/// The layout is detected from the tensor names. Parameters without a tensor in that layout keep their values.
///
/// # Errors
/// [`VlpError::Config`] for missing tensors or shape mismatches; [`VlpError::Weights`] for an unknown layout or a file that
/// cannot be read.
pub fn import<M: Module>(module: M, file: &Path) -> Result<(M, String), VlpError> {
    let weights = WeightsFile::open(file)?;
    let invalid =
        |problem: String| VlpError::Config(format!("weights {}: {problem}", file.display()));
    let layout = weights.detect_layout()?;
    let mut shapes = ShapeCollector::default();
    visit_params(&module, &mut shapes);
    let plan = ImportPlan::new(layout, &weights, shapes.0);
    if let Some(mismatch) = plan.mismatches.first() {
        let more = more(plan.mismatches.len() - 1, "mismatch", "mismatches");
        return Err(VlpError::Config(format!("{mismatch}{more}")));
    }
    let missing = plan.missing.iter().map(|(_, tensor)| tensor.as_str());
    let unknown = plan.unknown.iter().map(String::as_str);
    for (verb, names) in [
        ("lacks", missing.collect::<Vec<_>>()),
        ("has unknown", unknown.collect()),
    ] {
        if !names.is_empty() {
            let names = list(&names);
            return Err(invalid(format!("a {layout} checkpoint {verb} {names}")));
        }
    }
    if plan.copies.is_empty() {
        return Err(invalid(format!(
            "no tensor of this {layout} checkpoint corresponds to a parameter of this model; use a checkpoint of one of its parts"
        )));
    }
    let copies = plan
        .copies
        .iter()
        .map(|copy| (copy.parameter.as_str(), copy));
    let mut importer = TensorImporter {
        copies: copies.collect(),
        file: &weights,
        error: None,
    };
    let module = map_params(module, &mut importer);
    match importer.error {
        Some(error) => Err(error),
        None => Ok((module, format!("weights {}: {plan}", file.display()))),
    }
}

/// Describes a checkpoint: format, layout, metadata, and dtype, shape and name of each tensor.
///
/// # Errors
/// [`VlpError::Weights`] for a file that cannot be read.
pub fn inspect(file: &Path) -> Result<String, VlpError> {
    let weights = WeightsFile::open(file)?;
    let (layout, note) = match weights.detect_layout() {
        Ok(layout) => (layout.to_string(), None),
        // What `vlp weights export` writes.
        Err(_)
            if ["preset", "step"]
                .iter()
                .all(|&key| weights.metadata().contains_key(key)) =>
        {
            let note = "vlp weights export wrote it; as a folder (vlp weights export RUN FOLDER) it is accepted wherever a run is";
            ("model and heads of a vlp run".into(), Some(note.to_owned()))
        }
        Err(error) => ("unknown layout".into(), Some(error.to_string())),
    };
    let mut text = format!(
        "{}: {:?}, {layout}, {} tensors\n",
        file.display(),
        weights.format(),
        weights.names().len()
    );
    // Writing to a string cannot fail.
    if let Some(note) = note {
        let _ = writeln!(text, "{note}");
    }
    for (key, value) in weights.metadata() {
        let _ = writeln!(text, "{key}: {value}");
    }
    for (name, info) in weights.tensors() {
        let _ = writeln!(text, "{:?} {:?} {name}", info.dtype, info.shape);
    }
    Ok(text)
}

fn list(names: &[&str]) -> String {
    let listed = names[..names.len().min(MAX_LISTED)].join(", ");
    let more = more(names.len().saturating_sub(MAX_LISTED), "name", "names");
    format!("{listed}{more}")
}

fn more(count: usize, singular: &str, plural: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(" (and 1 more {singular})"),
        _ => format!(" (and {count} more {plural})"),
    }
}
