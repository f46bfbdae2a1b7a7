//! Whole E2E-VLP models: outputs, losses, gradients and three optimiser steps.

use std::collections::BTreeMap;

use burn::optim::GradientsParams;
use burn::prelude::*;
use serde_json::Value;
use vlp_models::{E2eObjectives, E2eTargets, E2eVlp, E2eVlpConfig, ObjectivesConfig};
use vlp_objectives::captioning::CaptionTarget;
use vlp_objectives::detection::{
    ClassVocabulary, DetectionConfig, DetectionTarget, MatchCost, Matcher, TargetObject,
};
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::{
    Batch, CaptioningConfig, ItmConfig, MlmConfig, ObjectiveSet, Pretrain, VisionLanguage, total,
};
use vlp_train::{
    Decay, GroupConfig, OptimizerConfig, OptimizerKind, ScheduleConfig, Trainer, TrainerConfig,
    grads,
};
use vlp_transformer::TextBatch;
use vlp_vision::resnet::Depth;
use vlp_vision::{PaddedImages, ResNetConfig};

use crate::case::{Case, Values};
use crate::names::{Load, place};
use crate::recipe::hashed;
use crate::report::{Report, largest_difference};

type Model = Pretrain<E2eVlp, E2eObjectives>;
type Outputs = BTreeMap<String, Values>;

pub(crate) fn run(case: &Case, report: &mut Report) -> Result<(), String> {
    let device = Device::default().autodiff();
    let model = load(case, build(&case.json["spec"], &device)?, report)?;
    let batch = batch(case, &device)?;
    let outputs = outputs(case, &model, &batch)?;
    judge_outputs(case, "", &outputs, report);
    let own = outputs
        .keys()
        .filter(|name| !case.json["tensors"][name.as_str()].is_object());
    for name in own {
        report.fail(name, "PyTorch has no such output");
    }
    // Inference takes other ways (fused attention, no graph) to the same numbers.
    let inner = Batch {
        images: PaddedImages {
            pixels: batch.images.pixels.clone().inner(),
            pad_mask: batch.images.pad_mask.clone().inner(),
        },
        text: TextBatch {
            ids: batch.text.ids.clone().inner(),
            pad_mask: batch.text.pad_mask.clone().inner(),
        },
        ids: batch.ids.clone(),
        targets: batch.targets.clone(),
    };
    judge_outputs(
        case,
        "inference:",
        &self::outputs(case, &model.valid(), &inner)?,
        report,
    );
    judge_losses(case, &model, &batch, report)?;
    judge_training(case, model, &batch, report)
}

fn size(config: &Value, key: &str) -> Result<usize, String> {
    config[key]
        .as_u64()
        .map(|v| v as usize)
        .ok_or_else(|| format!("spec.config.{key} is missing"))
}

fn build(spec: &Value, device: &Device) -> Result<Model, String> {
    let config = &spec["config"];
    let get = |key| size(config, key);
    let depth = Depth::try_from(get("depth")? as u32).map_err(|e| e.to_string())?;
    let model = E2eVlpConfig {
        backbone: ResNetConfig {
            width: get("width")?,
            ..ResNetConfig::new(depth)
        },
        d_model: get("dim")?,
        heads: get("heads")?,
        ffn: get("ffn")?,
        encoder_layers: get("enc_layers")?,
        decoder_layers: get("dec_layers")?,
        caption_layers: get("cap_layers")?,
        dropout: 0.0,
        max_positions: get("max_len")?,
        modality_embedding: false,
    };
    let objectives = ObjectivesConfig {
        itm: Some(ItmConfig::default()),
        mlm: Some(MlmConfig::default()),
        detection: Some(DetectionConfig {
            num_queries: get("queries")?,
            from_joint: config["detect_from"] == "joint",
            cost: MatchCost {
                attribute: spec["w_attr"].as_f64().unwrap_or(0.0),
                ..MatchCost::default()
            },
            ..DetectionConfig::default()
        }),
        caption: Some(CaptioningConfig::default()),
    };
    let vocabulary = ClassVocabulary {
        name: "golden".into(),
        classes: get("classes")?,
        attributes: get("attrs")?,
    };
    let vocab = get("vocab")?;
    Ok(Pretrain {
        model: model.init(vocab, device).map_err(|e| e.to_string())?,
        objectives: objectives
            .init(model.d_model, vocab, vec![vocabulary], device)
            .map_err(|e| e.to_string())?,
    })
}

/// Fills the model from `w.*`, or by the recipe where the weights are too large to store.
fn load(case: &Case, model: Model, report: &mut Report) -> Result<Model, String> {
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

fn batch(case: &Case, device: &Device) -> Result<Batch<E2eTargets>, String> {
    let spec = &case.json["spec"];
    let pad = case.get("in.pad")?;
    let pixels: Tensor<4> = match case.tensors.get("in.image") {
        Some(image) => image.float(device),
        None => {
            let &[n, h, w] = &pad.shape[..] else {
                return Err("in.pad has no 3 dimensions".into());
            };
            let seed = spec["seed"].as_u64().unwrap_or(0);
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
    let ids = case.get("in.ids")?;
    let rows = ids.shape[0];
    let captions: Vec<&[f64]> = case.get("in.caption_ids")?.rows().collect();
    let labels: Vec<&[f64]> = case.get("in.mlm_labels")?.rows().collect();
    let itm = case.get("in.itm_labels")?;
    let targets = (0..rows)
        .map(|row| {
            let masked = labels[row].iter().enumerate().filter(|(_, id)| **id >= 0.0);
            let caption: Vec<u32> = captions[row]
                .iter()
                .map(|&id| id as u32)
                .filter(|&id| id != 0)
                .collect();
            Ok(E2eTargets {
                itm: Some(itm.at[row] != 0.0),
                mlm: Some(MlmTarget {
                    masked: masked.map(|(i, &id)| (i, id as u32)).collect(),
                }),
                detection: Some(target(case, "in.targets.", row)?),
                caption: Some(CaptionTarget {
                    ids: caption,
                    references: vec![],
                    ends: (0, 0),
                    pad: 0,
                }),
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Batch {
        images: PaddedImages {
            pixels,
            pad_mask: pad.mask(device),
        },
        text: TextBatch {
            ids: ids.int(device),
            pad_mask: case.get("in.text_pad")?.mask(device),
        },
        ids: ids
            .rows()
            .map(|row| row.iter().map(|&id| id as u32).collect())
            .collect(),
        targets,
    })
}

/// Objects of image `image`, stored as `{prefix}{image}.labels`, `.attrs` (-1: none) and `.boxes`.
pub(crate) fn target(case: &Case, prefix: &str, image: usize) -> Result<DetectionTarget, String> {
    let get = |key: &str| case.get(&format!("{prefix}{image}.{key}"));
    let (attributes, boxes) = (get("attrs")?, get("boxes")?);
    let objects = get("labels")?
        .at
        .iter()
        .enumerate()
        .map(|(i, &class)| TargetObject {
            class: class as usize,
            bbox: std::array::from_fn(|k| boxes.at[4 * i + k] as f32),
            attributes: Some(attributes.at[i])
                .filter(|a| *a >= 0.0)
                .map(|a| a as usize)
                .into_iter()
                .collect(),
        });
    Ok(DetectionTarget {
        vocabulary: Some(0),
        objects: objects.collect(),
        dropped: 0,
        key: image as u64,
        size: (1, 1),
    })
}

/// Pairs as PyTorch has them: queries, then objects, `[2, pairs]`.
pub(crate) fn pair_values(pairs: &[(usize, usize)]) -> Values {
    let queries = pairs.iter().map(|p| p.0 as f64);
    Values {
        shape: vec![2, pairs.len()],
        at: queries.chain(pairs.iter().map(|p| p.1 as f64)).collect(),
    }
}

/// Everything the reference returns, under its names.
fn outputs(case: &Case, model: &Model, batch: &Batch<E2eTargets>) -> Result<Outputs, String> {
    let Pretrain {
        model: vlp,
        objectives,
    } = model;
    let fail = |e: vlp_objectives::ObjectiveError| e.to_string();
    let mut out = Outputs::new();
    let device = batch.images.pixels.device();
    let image = vlp.image_tokens(&batch.images);
    let encoder = vlp.encode_all(&vlp.joint_tokens(&image.tokens, &batch.text));
    let encoded = vlp.encode(&batch.images, &batch.text, objectives.needs());
    let (itm, mlm) = (
        objectives.itm.as_ref().unwrap(),
        objectives.mlm.as_ref().unwrap(),
    );
    let (detection, caption) = (
        objectives.detection.as_ref().unwrap(),
        objectives.caption.as_ref().unwrap(),
    );
    for (i, map) in image.maps.into_iter().enumerate() {
        out.insert(format!("stages.{i}"), Values::of(map));
    }
    for (i, states) in encoder.into_iter().enumerate() {
        out.insert(format!("encoder.{i}"), Values::of(states));
    }
    out.insert("src".into(), Values::of(image.tokens.states));
    out.insert("pos".into(), Values::of(image.tokens.pos));
    out.insert("pad".into(), Values::of_mask(image.tokens.pad_mask));
    out.insert(
        "itm".into(),
        Values::of(itm.logits(&encoded).map_err(fail)?),
    );
    let text = encoded.text("mlm").map_err(fail)?.states.clone();
    let [n, length, width] = text.dims();
    let logits = mlm.logits(text.reshape([n * length, width]), encoded.words.words());
    let vocab = logits.dims()[1];
    out.insert("mlm".into(), Values::of(logits.reshape([n, length, vocab])));
    let memory = encoded.image("caption").map_err(fail)?;
    out.insert("image_memory".into(), Values::of(memory.states.clone()));
    let ids = case.get("in.caption_ids")?.int::<2>(&device);
    let text = TextBatch {
        pad_mask: ids.clone().equal_elem(0),
        ids,
    };
    out.insert(
        "caption".into(),
        Values::of(caption.logits(&encoded, &text).map_err(fail)?),
    );
    let states = detection.states(&encoded).map_err(fail)?;
    let found = detection.output(states.clone(), 0);
    let stacks = [
        ("hs", Some(states)),
        ("logits", Some(found.logits.clone())),
        ("attrs", found.attributes.clone()),
        ("boxes", Some(found.boxes.clone())),
    ];
    for (name, stack) in stacks {
        for (i, layer) in stack.into_iter().flat_map(|s| s.iter_dim(0)).enumerate() {
            out.insert(format!("{name}.{i}"), Values::of(layer.squeeze_dim::<3>(0)));
        }
    }
    let targets: Vec<&DetectionTarget> = batch
        .targets
        .iter()
        .map(|t| t.detection.as_ref().unwrap())
        .collect();
    let cost = MatchCost {
        attribute: case.json["spec"]["w_attr"].as_f64().unwrap_or(0.0),
        ..MatchCost::default()
    };
    let pairs = Matcher::default()
        .assign(&found, &targets, &cost)
        .map_err(fail)?;
    for (layer, images) in pairs.iter().enumerate() {
        for (image, pairs) in images.iter().enumerate() {
            out.insert(format!("match.{layer}.{image}"), pair_values(pairs));
        }
    }
    Ok(out)
}

fn judge_outputs(case: &Case, prefix: &str, outputs: &Outputs, report: &mut Report) {
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
fn losses(
    model: &Model,
    batch: &Batch<E2eTargets>,
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

fn judge_losses(
    case: &Case,
    model: &Model,
    batch: &Batch<E2eTargets>,
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

fn judge_training(
    case: &Case,
    model: Model,
    batch: &Batch<E2eTargets>,
    report: &mut Report,
) -> Result<(), String> {
    let spec = &case.json["spec"];
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let config = TrainerConfig {
        steps: 3,
        accumulate: 1,
        side_by_side: false,
        optimizer: OptimizerConfig {
            learning_rate: number(&spec["lr"][0]),
            weight_decay: 1e-4,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            decay_norms_and_biases: true,
            clip_norm: number(&spec["clip"]),
            groups: vec![GroupConfig {
                pattern: r"^model\.backbone\.".into(),
                learning_rate: number(&spec["lr"][1]),
                weight_decay: 1e-4,
                kind: OptimizerKind::Adamw,
            }],
        },
        schedule: ScheduleConfig {
            warmup_steps: 0,
            warmup_from: 0.0,
            decay: Decay::Constant,
        },
        ema_decay: 0.0,
        max_skipped: 1,
    };
    let scalars = &case.json["scalars"];
    let fail = |e: vlp_train::TrainError| e.to_string();
    let mut trainer = Trainer::new(model, config).map_err(fail)?;
    // Rounding grows step by step at the papers' sizes: there only the first step is judged.
    let steps = if spec["real"] == true { 1 } else { 3 };
    for (step, after) in scalars["after_step"]
        .as_array()
        .into_iter()
        .flatten()
        .take(steps)
        .enumerate()
    {
        let done = trainer
            .step(0, |model, _| {
                Ok(model
                    .losses(batch)
                    .map_err(|e| e.to_string())
                    .and_then(|l| total(&l).ok_or_else(|| "no loss".into())))
            })
            .map_err(fail)?;
        if let Some(reason) = done.skipped {
            return Err(format!("step {step} was skipped: {reason}"));
        }
        let whole = number(&scalars["grad_norm_total"][step]);
        report.note(
            &format!("grad_norm_total.{step}"),
            f64::from(done.grad_norm),
            whole,
        );
        let (values, _) = losses(&trainer.model, batch)?;
        for (name, want) in after.as_object().into_iter().flatten() {
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
