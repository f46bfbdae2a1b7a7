//! Common to all models: weights, pixels, and the comparison of outputs, losses, gradients and steps.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::prelude::*;
use serde_json::Value;
use vlp_objectives::{Batch, ObjectiveSet, Pretrain, VisionLanguage, total};
use vlp_train::{OptimizerConfig, SkipReason, Trainer, TrainerConfig, grads};
use vlp_vision::PaddedImages;

use crate::case::{Case, Values};
use crate::names::{TorchParam, TorchWeights};
use crate::recipe::hashed;
use crate::report::{Report, largest_difference};

/// Outputs by their names in the reference.
pub(crate) type Outputs = BTreeMap<String, Values>;

pub(crate) fn size(config: &Value, key: &str) -> Result<usize, String> {
    config[key]
        .as_u64()
        .map(|v| v as usize)
        .ok_or_else(|| format!("spec.config.{key} is missing"))
}

/// Loads the model from `w.*`, or by the recipe if the weights are too large to store.
pub(crate) fn load<M: Module>(
    case: &Case,
    model: M,
    torch_param: fn(&str) -> Option<TorchParam>,
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
        // Much less than the distance of two f32 values: JSON may lose the last bit, and the order of sums differs.
        let is_close = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance; // false for NaN
        if !is_close(first, number("first"), 1e-9)
            || !is_close(sum, number("sum"), 1e-9 * count as f64)
        {
            return Err(format!("{name}: the recipe gives {first}, sum {sum}"));
        }
        recipes.insert(name.to_owned(), values);
    }
    let stored = case.with_prefix("w.");
    let weights = |name: &str| match recipes.get(name) {
        Some(values) => Some(values.clone()),
        None => stored.get(name).map(|values| values.floats()),
    };
    let mut loader = TorchWeights::new(&weights, torch_param);
    let model = loader.load(model);
    for problem in &loader.problems {
        report.fail("weights", problem);
    }
    let names = recipes.keys().map(String::as_str);
    let names = names.chain(stored.keys().copied());
    for name in names.filter(|name| !name.ends_with("num_batches_tracked")) {
        if !loader.used.contains(name) {
            report.fail("weights", &format!("{name} has no parameter in the model"));
        }
    }
    Ok(model)
}

/// Images of a case, stored or by the recipe.
pub(crate) fn images(case: &Case, device: &Device) -> Result<PaddedImages, String> {
    let pad = case.get("in.pad")?;
    let pixels: Tensor<4> = match case.tensors.get("in.image") {
        Some(image) => image.float(device),
        None => {
            let &[n, h, w] = &pad.shape[..] else {
                return Err("in.pad has no 3 dimensions".into());
            };
            let seed = case.json["spec"]["seed"].as_u64().unwrap_or(0);
            let values = hashed("image", n * 3 * h * w, 2.0, 0.0, seed);
            let values = values.into_iter().enumerate().map(|(i, v)| {
                let masked = pad.values[i / (3 * h * w) * h * w + i % (h * w)] != 0.0;
                if masked { 0.0 } else { f64::from(v) }
            });
            Values {
                shape: vec![n, 3, h, w],
                values: values.collect(),
            }
            .float(device)
        }
    };
    Ok(PaddedImages {
        pixels,
        pad_mask: pad.mask(device),
    })
}

pub(crate) fn judge_outputs(case: &Case, prefix: &str, outputs: &Outputs, report: &mut Report) {
    for (name, meta) in case.json["tensors"].as_object().into_iter().flatten() {
        let label = format!("{prefix}{name}");
        let Some(got) = outputs.get(name) else {
            report.fail(&label, "not computed");
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
                &label,
                &format!("shape {:?}, expected {shape:?}", got.shape),
            );
        } else if meta["discrete"] == true {
            report.equal(&label, got, &case.tensors[&format!("out.{name}")]);
        } else if meta["probe"] == true {
            let indices = &case.tensors[&format!("probe.{name}.at")].values;
            let probed = indices.iter().map(|&index| got.values[index as usize]);
            let probed: Vec<f64> = probed.collect();
            let want = &case.tensors[&format!("probe.{name}.val")].values;
            report.judge(&label, largest_difference(&probed, want), allowed);
        } else {
            report.tensor(&label, got, &case.tensors[&format!("out.{name}")], allowed);
        }
    }
}

/// Unweighted losses by their names in the reference, with the total, and the total as a tensor.
fn losses<M: VisionLanguage, O: ObjectiveSet>(
    model: &Pretrain<M, O>,
    batch: &Batch<O::Targets>,
) -> Result<(BTreeMap<String, f64>, Tensor<1>), String> {
    let losses = model.losses(batch).map_err(|e| e.to_string())?;
    let mut values = BTreeMap::new();
    for term in losses.iter().flat_map(|(_, losses)| &losses.terms) {
        let name = term.name.replace("attribute", "attr");
        let layer = term.layer.map(|layer| format!(".{layer}"));
        let value = f64::from(term.value.clone().into_scalar::<f32>());
        values.insert(name + &layer.unwrap_or_default(), value);
    }
    let total = total(&losses).ok_or("no loss")?;
    values.insert(
        "total".into(),
        f64::from(total.clone().into_scalar::<f32>()),
    );
    Ok((values, total))
}

pub(crate) fn judge_losses<M: VisionLanguage, O: ObjectiveSet>(
    case: &Case,
    model: &Pretrain<M, O>,
    batch: &Batch<O::Targets>,
    torch_param: fn(&str) -> Option<TorchParam>,
    report: &mut Report,
) -> Result<(), String> {
    let scalars = &case.json["scalars"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let (values, total) = losses(model, batch)?;
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
    let gradients = GradientsParams::from_grads(total.backward(), model);
    // The key bias adds the same value to all scores of a query, so its true gradient is zero.
    let mut squares = BTreeMap::<String, f64>::new();
    for (path, norm) in grads::param_norms(model, &gradients) {
        if !path.ends_with("key.bias") {
            let name = torch_param(&path)
                .ok_or_else(|| format!("{path} has no PyTorch name"))?
                .name;
            *squares.entry(name).or_default() += f64::from(norm).powi(2);
        }
    }
    let total_norm = number(&scalars["grad_norm_total"][0]);
    for (name, want) in scalars["grad_norm"].as_object().into_iter().flatten() {
        let want = number(want);
        let err = number(&case.json["grad_norm_err_f32"][name]);
        let got = squares.remove(name).unwrap_or(0.0).sqrt();
        let allowed = (5.0 * err).max(3e-5 * want).max(3e-6 * total_norm);
        report.judge(&format!("grad_norm.{name}"), (got - want).abs(), allowed);
    }
    for name in squares.keys() {
        report.fail(&format!("grad_norm.{name}"), "PyTorch does not train it");
    }
    Ok(())
}

/// Three clipped steps; the losses after each are those before the next.
pub(crate) fn judge_training<M: VisionLanguage, O: ObjectiveSet>(
    case: &Case,
    model: Pretrain<M, O>,
    batch: &Batch<O::Targets>,
    optimizer: OptimizerConfig,
    report: &mut Report,
) -> Result<(), String> {
    let spec = &case.json["spec"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let config = TrainerConfig::new(4)
        .with_optimizer(
            optimizer
                .with_clip_norm(number(&spec["clip"]))
                .with_moment_dtype(Default::default()),
        )
        .with_max_skipped(1);
    let scalars = &case.json["scalars"];
    let fail = |e: vlp_train::TrainError| e.to_string();
    let mut trainer = Trainer::new(model, config).map_err(fail)?;
    // At the papers' sizes rounding errors grow with each step, so only the first is judged.
    let steps = if spec["real"] == true { 1 } else { 3 };
    for step in 0..=steps {
        let mut losses_before = None;
        let step_report = trainer
            .step(0, |model, _| {
                let (values, total) = match losses(model, batch) {
                    Ok(losses) => losses,
                    Err(reason) => return Ok(Err(SkipReason::NotFinite(reason))),
                };
                losses_before = Some(values);
                Ok(Ok(total))
            })
            .map_err(fail)?;
        if let Some(reason) = step_report.skipped {
            return Err(format!("step {step} was skipped: {reason}"));
        }
        if step < steps {
            let total_norm = number(&scalars["grad_norm_total"][step]);
            let label = format!("grad_norm_total.{step}");
            report.note(&label, f64::from(step_report.grad_norm), total_norm);
        }
        let (Some(values), Some(step)) = (losses_before, step.checked_sub(1)) else {
            continue;
        };
        for (name, want) in scalars["after_step"][step]
            .as_object()
            .into_iter()
            .flatten()
        {
            let (want, label) = (number(want), format!("after_step.{step}.{name}"));
            let got = values.get(name).copied().unwrap_or(f64::NAN);
            if name == "total" {
                let f32_run = number(&case.json["scalars_f32"]["after_step"][step]["total"]);
                let allowed = (1e-3 * want.abs()).max(10.0 * (f32_run - want).abs());
                report.judge(&label, (got - want).abs(), allowed);
            } else {
                report.note(&label, got, want);
            }
        }
    }
    Ok(())
}
