//! Starting from the weights of another run.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::TensorData;

use crate::error::VlpError;
use crate::trained::Trained;

/// Parameters named one by one in a note; the rest are counted.
const NAMED: usize = 6;

/// A module with the weights it found.
pub struct Adopted<M> {
    /// The module.
    pub module: M,
    /// What was taken and what starts afresh, in words.
    pub notes: Vec<String>,
}

/// Puts the weights of the run at `from` into every parameter and state of `module` that has the same path there:
/// the model, and heads of objectives that the run trained too. Others keep their values.
///
/// # Errors
/// [`VlpError::Config`] where a parameter has another shape there, or none at all is found; as [`Trained::open`].
pub fn adopt<M: Module>(module: M, from: &Path, device: &Device) -> Result<Adopted<M>, VlpError> {
    let source = Trained::open(from, device)?;
    let mut put = Put {
        values: source.system().values(),
        ..Put::default()
    };
    let module = module.map(&mut put);
    let shown = from.display();
    if let Some(problem) = put.misfits.first() {
        return Err(VlpError::Config(format!(
            "from = \"{shown}\": {problem}; train with the sizes of that run"
        )));
    }
    if put.taken == 0 {
        return Err(VlpError::Config(format!(
            "from = \"{shown}\": it shares no parameter with this model: is it of the other system?"
        )));
    }
    let mut notes = vec![format!(
        "{} parameters and states start from {shown} (step {})",
        put.taken, source.step
    )];
    if !put.fresh.is_empty() {
        let named = put.fresh.iter().take(NAMED).cloned().collect::<Vec<_>>();
        let more = put.fresh.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        notes.push(format!("new: {}{more}", named.join(", ")));
    }
    Ok(Adopted { module, notes })
}

/// Puts values into the parameters of the same path.
#[derive(Default)]
pub(crate) struct Put {
    pub(crate) path: Vec<String>,
    /// By path; what is left was not asked for.
    pub(crate) values: BTreeMap<String, TensorData>,
    pub(crate) taken: usize,
    /// Parameters that no value was found for.
    pub(crate) fresh: Vec<String>,
    /// Values of another shape, in words.
    pub(crate) misfits: Vec<String>,
}

impl ModuleMapper for Put {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let own = param.lazy_shape();
        let Some(data) = self.values.remove(&path) else {
            self.fresh.push(path);
            return param;
        };
        if data.shape() != &own {
            self.misfits.push(format!(
                "{path} is {:?} there and {own:?} here",
                data.shape()
            ));
            return param;
        }
        self.taken += 1;
        param.map(|old| {
            let value = Tensor::from_data(data, &old.device());
            value.set_require_grad(old.is_require_grad())
        })
    }
}
