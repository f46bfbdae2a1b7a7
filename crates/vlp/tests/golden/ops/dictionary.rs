//! Three updates of a visual dictionary by each rule.

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use vlp_vision::{DictionaryConfig, UpdateRule};

use super::Op;
use crate::case::Values;

/// Replaces the codes of the dictionary.
struct CodesMapper(Tensor<2>, String);

impl ModuleMapper for CodesMapper {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.1 = name.into();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.1 == "running_codes" {
            true => param.map(|old| self.0.clone().reshape(old.dims())),
            false => param,
        }
    }
}

pub(crate) fn updates(op: &mut Op<'_>) -> Result<(), String> {
    let device = op.device.clone().autodiff();
    let rows = op.input("embed")?.float::<2>(&device);
    let [codes, width] = rows.dims();
    let update = match op.name.ends_with("paper") {
        true => UpdateRule::Paper,
        false => UpdateRule::Released,
    };
    let config = DictionaryConfig::new(codes)
        .with_update(update)
        .with_decay(op.number("decay")?);
    let dictionary = config.init(width, &device).map_err(|e| e.to_string())?;
    let dictionary = dictionary.map(&mut CodesMapper(rows, String::new()));
    let batches = op.input("x")?.float::<3>(&device);
    for (i, batch) in batches.iter_dim(0).enumerate() {
        let quantized = dictionary.forward(batch.squeeze_dim::<2>(0), None);
        let quantized = quantized.map_err(|e| e.to_string())?;
        op.judge(&format!("quant{i}"), &Values::of(quantized.states))?;
        op.judge(&format!("index{i}"), &Values::of(quantized.codes.float()))?;
        let [table, counts, _] = dictionary.state();
        op.judge(&format!("embed{i}"), &Values::of(table))?;
        let counts = Values::of(counts.squeeze_dim::<1>(1));
        op.judge(&format!("cluster_size{i}"), &counts)?;
    }
    Ok(())
}
