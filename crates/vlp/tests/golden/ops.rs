//! Single operations, computed by the functions of the library.

mod dictionary;
mod layers;
mod matching;
mod optimizers;
mod text;
mod vision;

use burn::prelude::*;
use serde_json::Value;

use crate::case::{Case, Values};
use crate::report::Report;

/// Maximum relative error: `max|difference| <= 3e-6 max|value|`.
const RELATIVE: f64 = 3e-6;

/// One operation of a case with its inputs, expected outputs and attributes.
pub(crate) struct Op<'a> {
    case: &'a Case,
    name: &'a str,
    attributes: &'a Value,
    report: &'a mut Report,
    device: Device,
}

pub(crate) fn run(
    case: &Case,
    name: &str,
    attributes: &Value,
    report: &mut Report,
) -> Result<(), String> {
    let device = Device::default();
    let mut op = Op {
        case,
        name,
        attributes,
        report,
        device,
    };
    let kind: String = name.chars().take_while(|c| !c.is_ascii_digit()).collect();
    match kind.as_str() {
        "giou" => matching::giou(&mut op),
        "assignment" => matching::assignment(&mut op),
        "criterion" => matching::criterion(&mut op),
        "cross_entropy" => matching::cross_entropy(&mut op),
        "sine" => vision::sine(&mut op),
        "mask_resize" => vision::mask_resize(&mut op),
        "frozen_bn" => vision::frozen_norm(&mut op),
        "batch_norm_train" => vision::trained_norm(&mut op),
        "conv" => vision::convolution(&mut op),
        "maxpool" => vision::max_pool(&mut op),
        "layer_norm_" => layers::layer_norm(&mut op),
        "gelu" => layers::gelu(&mut op),
        "mha_cross" | "mha_causal" => layers::attention(&mut op),
        "adamw" | "sgd" => optimizers::trace(&mut op),
        "dictionary_average" | "dictionary_paper" => dictionary::updates(&mut op),
        "tokenizer" => text::tokenizer(&mut op),
        _ => {
            op.report.skip(name);
            Ok(())
        }
    }
}

impl Op<'_> {
    fn input(&self, name: &str) -> Result<&Values, String> {
        self.case.get(&format!("{}.in.{name}", self.name))
    }

    fn output(&self, name: &str) -> Result<Values, String> {
        self.case.get(&format!("{}.out.{name}", self.name)).cloned()
    }

    fn number(&self, name: &str) -> Result<f64, String> {
        self.attributes[name]
            .as_f64()
            .ok_or_else(|| format!("no attribute {name}"))
    }

    /// Judges a value against the output of the same name.
    fn judge(&mut self, name: &str, got: &Values) -> Result<(), String> {
        self.judge_within(name, name, got, RELATIVE)
    }

    fn judge_within(
        &mut self,
        label: &str,
        name: &str,
        got: &Values,
        relative: f64,
    ) -> Result<(), String> {
        let want = self.output(name)?;
        let largest = want.values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        self.report.tensor(label, got, &want, relative * largest);
        Ok(())
    }
}
