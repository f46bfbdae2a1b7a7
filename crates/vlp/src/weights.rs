//! Weights of others: ResNet, BERT, DETR and SOHO checkpoints put into a model, and a run's weights as safetensors.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_weights::{Convention, Plan, Take, WeightsFile};

use crate::error::VlpError;
use crate::portable;
use crate::trained::Trained;

/// Names listed of each kind before the rest is counted.
const NAMED: usize = 8;

/// Paths and shapes of every float parameter and state of a module.
#[derive(Default)]
struct Shapes {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().dims::<D>().to_vec();
        self.found.push((self.path.join("."), shape));
    }
}

struct Put<'a> {
    path: Vec<String>,
    takes: BTreeMap<&'a str, &'a Take>,
    file: &'a WeightsFile,
    failed: Option<VlpError>,
}

impl ModuleMapper for Put<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(take) = self.takes.get(path.as_str()) else {
            return param;
        };
        match self.file.take(take) {
            Ok(values) => param.map(|old| {
                let data = TensorData::new(values, old.shape());
                let value = Tensor::from_data(data, &old.device());
                value.set_require_grad(old.is_require_grad())
            }),
            Err(error) => {
                self.failed.get_or_insert(error.into());
                param
            }
        }
    }
}

/// Puts the tensors of a checkpoint of another project into `module`; what it was, in words.
///
/// Its kind is told from its names. Parameters that the kind has no tensor for keep their values.
///
/// # Errors
/// [`VlpError::Config`] for a file of an unknown kind, with tensors that nothing is known of, without one that the
/// module needs, or of another shape; [`VlpError::Weights`] for a file that cannot be read.
pub fn import<M: Module>(module: M, file: &Path) -> Result<(M, String), VlpError> {
    let weights = WeightsFile::open(file)?;
    let wrong = |what: String| VlpError::Config(format!("weights {}: {what}", file.display()));
    let Some(convention) = Convention::detect(weights.names()) else {
        return Err(wrong(format!(
            "its names are of no known kind ({}); the first is {}",
            Convention::ALL.map(|c| c.name()).join(", "),
            weights.names().next().unwrap_or("none")
        )));
    };
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    let plan = Plan::new(convention, &weights, shapes.found);
    if let Some(misfit) = plan.misfits.first() {
        return Err(VlpError::Config(format!(
            "{misfit}{}",
            more(plan.misfits.len().saturating_sub(1), "misfit")
        )));
    }
    let missing: Vec<&str> = plan
        .missing
        .iter()
        .map(|(_, tensor)| tensor.as_str())
        .collect();
    for (what, names) in [
        ("lacks", missing),
        (
            "has unknown",
            plan.unknown.iter().map(String::as_str).collect(),
        ),
    ] {
        if !names.is_empty() {
            return Err(wrong(format!(
                "a {convention} checkpoint {what} {}",
                list(&names)
            )));
        }
    }
    if plan.taken.is_empty() {
        return Err(wrong(format!(
            "nothing of a {convention} checkpoint fits this model"
        )));
    }
    let mut put = Put {
        path: vec![],
        takes: plan
            .taken
            .iter()
            .map(|take| (take.path.as_str(), take))
            .collect(),
        file: &weights,
        failed: None,
    };
    let module = module.map(&mut put);
    match put.failed {
        Some(error) => Err(error),
        None => Ok((module, format!("weights {}: {plan}", file.display()))),
    }
}

/// What a checkpoint holds, in words.
///
/// # Errors
/// [`VlpError::Weights`] for a file that cannot be read.
pub fn inspect(file: &Path) -> Result<String, VlpError> {
    let weights = WeightsFile::open(file)?;
    let kind = Convention::detect(weights.names());
    let kind = kind.map_or("of no known kind".to_string(), |kind| kind.to_string());
    let mut text = format!(
        "{}: {:?}, {kind}, {} tensors\n",
        file.display(),
        weights.format(),
        weights.names().len()
    );
    for (key, value) in weights.metadata() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}: {value}");
    }
    for (name, info) in weights.tensors() {
        let _ = writeln!(text, "{:?} {:?} {name}", info.dtype, info.shape);
    }
    Ok(text)
}

/// Writes the weights of a run's model and heads: as one file where `path` ends in `.safetensors`, under the paths they have
/// here, else as a folder in Hugging Face's layout. The number of tensors.
///
/// # Errors
/// As [`Trained::open`], and [`VlpError::Weights`] where the file cannot be written.
pub fn export(run: &Path, path: &Path, device: &Device) -> Result<usize, VlpError> {
    match path.extension().is_some_and(|e| e == "safetensors") {
        true => portable::write_weights(&Trained::open(run, device)?, path),
        false => portable::export(run, path, device),
    }
}

fn list(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    format!("{shown}{}", more(names.len().saturating_sub(NAMED), "name"))
}

fn more(count: usize, what: &str) -> String {
    match count {
        0 => String::new(),
        1 => format!(" (and 1 more {what})"),
        _ => format!(" (and {count} more {what}s)"),
    }
}
