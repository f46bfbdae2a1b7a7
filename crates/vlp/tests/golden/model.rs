//! What whole models have in common: weights, pixels, and how outputs, losses, gradients and steps are judged.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use serde_json::Value;
use vlp_objectives::{Batch, ObjectiveSet, Pretrain, VisionLanguage, total};
use vlp_train::{OptimizerConfig, Trainer, TrainerConfig, grads};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::case::{Case, Values};
use crate::names::{Load, Place};
use crate::recipe::hashed;
use crate::report::{Report, largest_difference};

/// Outputs by the reference's names.
pub(crate) type Outputs = BTreeMap<String, Values>;

pub(crate) fn size(config: &Value, key: &str) -> Result<usize, String> {
    config[key]
        .as_u64()
        .map(|v| v as usize)
        .ok_or_else(|| format!("spec.config.{key} is missing"))
}

/// Fills the model from `w.*`, or by the recipe where the weights are too large to store.
pub(crate) fn load<M: Module>(
    case: &Case,
    model: M,
    place: fn(&str) -> Option<Place>,
    report: &mut Report,
) -> Result<M, String> {
    let seed = case.json["spec"]["seed"].as_u64().unwrap_or(0);
    let mut recipes = BTreeMap::new();
    for row in case.json["weights"].as_array().into_iter().flatten() {
        let name = row["name"].as_str().unwrap_or_default();
        let count: u64 = row["shape"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .product();
        let number = |key: &str| row[key].as_f64().unwrap_or(f64::NAN);
        // A scale is an f32 value, an offset a short decimal fraction.
        let single = |key: &str| f64::from(number(key) as f32);
        let values = hashed(
            name,
            count as usize,
            single("scale"),
            number("offset"),
            seed,
        );
        let sum: f64 = values.iter().map(|&v| f64::from(v)).sum();
        let first = values.first().map_or(f64::NAN, |&v| f64::from(v));
        // Far below the distance of two f32 values: numbers in JSON may lose their last bit, and sums their order.
        let near = |a: f64, b: f64, within: f64| (a - b).abs() <= within; // false for NaN
        if !near(first, number("first"), 1e-9) || !near(sum, number("sum"), 1e-9 * count as f64) {
            return Err(format!("{name}: the recipe gives {first}, sum {sum}"));
        }
        recipes.insert(name.to_owned(), values);
    }
    let stored = case.under("w.");
    let weights = |name: &str| match recipes.get(name) {
        Some(values) => Some(values.clone()),
        None => stored.get(name).map(|values| values.floats()),
    };
    let mut load = Load::new(&weights, place);
    let model = load.fill(model);
    for problem in &load.problems {
        report.fail("weights", problem);
    }
    let given = recipes
        .keys()
        .map(String::as_str)
        .chain(stored.keys().copied());
    for name in given.filter(|name| !name.ends_with("num_batches_tracked")) {
        if !load.used.contains(name) {
            report.fail("weights", &format!("{name} has no place in the model"));
        }
    }
    Ok(model)
}

/// Pictures of a case, stored or by the recipe.
pub(crate) fn images(case: &Case, device: &Device) -> Result<PaddedImages, String> {
    let pad = case.get("in.pad")?;
    let pixels: Tensor<4> = match case.tensors.get("in.image") {
        Some(image) => image.float(device),
        None => {
            let &[n, h, w] = &pad.shape[..] else {
                return Err("in.pad has no 3 dimensions".into());
            };
            let seed = case.json["spec"]["seed"].as_u64().unwrap_or(0);
            let at = hashed("image", n * 3 * h * w, 2.0, 0.0, seed);
            let at = at.into_iter().enumerate().map(|(i, v)| {
                let masked = pad.at[i / (3 * h * w) * h * w + i % (h * w)] != 0.0;
                if masked { 0.0 } else { f64::from(v) }
            });
            Values {
                shape: vec![n, 3, h, w],
                at: at.collect(),
            }
            .float(device)
        }
    };
    Ok(PaddedImages {
        pixels,
        pad_mask: pad.mask(device),
    })
}

/// The same batch without autodiff.
pub(crate) fn inner<T: Clone>(batch: &Batch<T>) -> Batch<T> {
    Batch {
        images: PaddedImages {
            pixels: batch.images.pixels.clone().inner(),
            pad_mask: batch.images.pad_mask.clone().inner(),
        },
        text: TextBatch {
            ids: batch.text.ids.clone().inner(),
            pad_mask: batch.text.pad_mask.clone().inner(),
        },
        ..batch.clone()
    }
}

pub(crate) fn judge_outputs(case: &Case, prefix: &str, outputs: &Outputs, report: &mut Report) {
    for (name, meta) in case.json["tensors"].as_object().into_iter().flatten() {
        let shown = format!("{prefix}{name}");
        let Some(got) = outputs.get(name) else {
            report.fail(&shown, "not computed");
            continue;
        };
        let number = |key: &str| meta[key].as_f64().unwrap_or(f64::NAN);
        let allowed = 5.0 * number("err_f32").max(3e-6 * number("max_abs"));
        let shape: Vec<usize> = meta["shape"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|s| s.as_u64().unwrap() as usize)
            .collect();
        if got.shape != shape {
            report.fail(
                &shown,
                &format!("shape {:?}, expected {shape:?}", got.shape),
            );
        } else if meta["discrete"] == true {
            report.equal(&shown, got, &case.tensors[&format!("out.{name}")]);
        } else if meta["probe"] == true {
            let at = &case.tensors[&format!("probe.{name}.at")].at;
            let probed: Vec<f64> = at.iter().map(|&i| got.at[i as usize]).collect();
            let want = &case.tensors[&format!("probe.{name}.val")].at;
            report.judge(&shown, largest_difference(&probed, want), allowed);
        } else {
            report.tensor(&shown, got, &case.tensors[&format!("out.{name}")], allowed);
        }
    }
}

/// Unweighted losses under the reference's names, with their weighted sum, and that sum as a tensor.
fn losses<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    batch: &Batch<O::Targets>,
) -> Result<(BTreeMap<String, f64>, Tensor<1>), String> {
    let losses = model.losses(batch).map_err(|e| e.to_string())?;
    let mut values = BTreeMap::new();
    for (name, _, value) in losses.iter().flat_map(|(_, own)| &own.terms) {
        let value = f64::from(value.clone().into_scalar::<f32>());
        values.insert(name.replace("attribute", "attr"), value);
    }
    let sum = total(&losses).ok_or("no loss at all")?;
    values.insert("total".into(), f64::from(sum.clone().into_scalar::<f32>()));
    Ok((values, sum))
}

pub(crate) fn judge_losses<M: VisionLanguage, O: ObjectiveSet>(
    case: &Case,
    model: &Pretrain<M, O>,
    batch: &Batch<O::Targets>,
    place: fn(&str) -> Option<Place>,
    report: &mut Report,
) -> Result<(), String> {
    let scalars = &case.json["scalars"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let (values, sum) = losses(model, batch)?;
    for (name, want) in scalars["loss"].as_object().into_iter().flatten() {
        let want = number(want);
        let got = values.get(name).copied().unwrap_or(f64::NAN);
        report.judge(
            &format!("loss.{name}"),
            (got - want).abs(),
            1e-5 * want.abs().max(1.0),
        );
    }
    for name in values
        .keys()
        .filter(|name| scalars["loss"][name.as_str()].is_null())
    {
        report.fail(&format!("loss.{name}"), "PyTorch has no such loss");
    }
    let gradients = GradientsParams::from_grads(sum.backward(), model);
    // The bias of the keys shifts all scores of a query alike: its true gradient is zero.
    let mut squares = BTreeMap::<String, f64>::new();
    for (path, norm) in grads::norms(model, &gradients) {
        if !path.ends_with("key.bias") {
            let name = place(&path)
                .ok_or_else(|| format!("{path} has no PyTorch name"))?
                .name;
            *squares.entry(name).or_default() += f64::from(norm).powi(2);
        }
    }
    let whole = number(&scalars["grad_norm_total"][0]);
    for (name, want) in scalars["grad_norm"].as_object().into_iter().flatten() {
        let want = number(want);
        let err = number(&case.json["grad_norm_err_f32"][name]);
        let got = squares.remove(name).unwrap_or(0.0).sqrt();
        let allowed = (5.0 * err).max(3e-5 * want).max(3e-6 * whole);
        report.judge(&format!("grad_norm.{name}"), (got - want).abs(), allowed);
    }
    for name in squares.keys() {
        report.fail(&format!("grad_norm.{name}"), "PyTorch does not train it");
    }
    Ok(())
}

/// Three clipped steps; the losses after each are those before the next, so that nothing is run twice.
pub(crate) fn judge_training<M: VisionLanguage, O: ObjectiveSet>(
    case: &Case,
    model: Pretrain<M, O>,
    batch: &Batch<O::Targets>,
    optimizer: OptimizerConfig,
    report: &mut Report,
) -> Result<(), String> {
    let spec = &case.json["spec"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let config = TrainerConfig {
        optimizer: OptimizerConfig {
            clip_norm: number(&spec["clip"]),
            moments: Default::default(),
            ..optimizer
        },
        max_skipped: 1,
        ..TrainerConfig::new(4)
    };
    let scalars = &case.json["scalars"];
    let fail = |e: vlp_train::TrainError| e.to_string();
    let mut trainer = Trainer::new(model, config).map_err(fail)?;
    // Rounding grows step by step at the papers' sizes: there only the first step is judged.
    let steps = if spec["real"] == true { 1 } else { 3 };
    for step in 0..=steps {
        let mut found = None;
        let done = trainer
            .step(0, |model, _| {
                let (values, sum) = match losses(model, batch) {
                    Ok(found) => found,
                    Err(reason) => return Ok(Err(reason)),
                };
                found = Some(values);
                Ok(Ok(sum))
            })
            .map_err(fail)?;
        if let Some(reason) = done.skipped {
            return Err(format!("step {step} was skipped: {reason}"));
        }
        if step < steps {
            let whole = number(&scalars["grad_norm_total"][step]);
            let shown = format!("grad_norm_total.{step}");
            report.note(&shown, f64::from(done.grad_norm), whole);
        }
        let (Some(values), Some(step)) = (found, step.checked_sub(1)) else {
            continue;
        };
        for (name, want) in scalars["after_step"][step]
            .as_object()
            .into_iter()
            .flatten()
        {
            let (want, shown) = (number(want), format!("after_step.{step}.{name}"));
            let got = values.get(name).copied().unwrap_or(f64::NAN);
            if name == "total" {
                let f32_run = number(&case.json["scalars_f32"]["after_step"][step]["total"]);
                let allowed = (1e-3 * want.abs()).max(10.0 * (f32_run - want).abs());
                report.judge(&shown, (got - want).abs(), allowed);
            } else {
                report.note(&shown, got, want);
            }
        }
    }
    Ok(())
}
