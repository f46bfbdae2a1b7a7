//! Whole SOHO models: outputs, the dictionary after its update, losses, gradients and three optimiser steps.

use burn::prelude::*;
use vlp_models::{
    HeadSizes, ObjectivesConfig, Pool, PretrainObjectives, PretrainTargets, Soho, SohoConfig,
};
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::{
    Batch, CellDraw, CellRule, Codes, ItmConfig, MlmConfig, MlmHead, MvmConfig, MvmHead, Pretrain,
};
use vlp_train::{GroupConfig, OptimizerConfig, OptimizerKind};
use vlp_transformer::TextBatch;
use vlp_vision::resnet::Depth;
use vlp_vision::{DictionaryConfig, Fusion, QuantiserConfig, ResNetConfig, UpdateRule};

use crate::case::{Case, Values};
use crate::model::{
    Outputs, images, inner, judge_losses, judge_outputs, judge_training, load, size,
};
use crate::names::{Place, place as shared};
use crate::report::Report;

type Model = Pretrain<Soho, PretrainObjectives>;

pub(crate) fn run(case: &Case, report: &mut Report) -> Result<(), String> {
    let device = Device::default().autodiff();
    // Every forward pass in training moves the dictionary: each judgement starts from a model of its own.
    let mut fresh = || load(case, build(case, &device)?, place, report);
    let (looked_at, judged, trained) = (fresh()?, fresh()?, fresh()?);
    let batch = batch(case, &device)?;
    let unmasked = Batch {
        cells: vec![],
        ..inner(&batch)
    };
    let mut outputs = Outputs::new();
    for (name, value) in self::outputs(&looked_at.valid(), &unmasked)? {
        let kept = ["indices", "quant", "visual", "mlm", "itm", "mvm"];
        if kept.contains(&name.as_str()) {
            outputs.insert(format!("eval.{name}"), value);
        }
    }
    outputs.extend(self::outputs(&looked_at, &batch)?);
    outputs.extend(after_update(&looked_at.model.valid()));
    judge_outputs(case, "", &outputs, report);
    judge_losses(case, &judged, &batch, place, report)?;
    let optimizer = OptimizerConfig {
        weight_decay: 0.01,
        groups: vec![GroupConfig {
            pattern: r"^model\.backbone\.".into(),
            learning_rate: 1e-2,
            weight_decay: 1e-4,
            kind: OptimizerKind::Sgd { momentum: 0.9 },
            frozen_until: 0.0,
        }],
        ..OptimizerConfig::default()
    };
    judge_training(case, trained, &batch, optimizer, report)
}

fn build(case: &Case, device: &Device) -> Result<Model, String> {
    let config = &case.json["spec"]["config"];
    let get = |key| size(config, key);
    let choice = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
    let depth = Depth::try_from(get("depth")? as u32).map_err(|e| e.to_string())?;
    let dictionary = DictionaryConfig {
        update: match choice("update").as_str() {
            "average" => UpdateRule::Released,
            "paper" => UpdateRule::Paper,
            other => return Err(format!("update {other}")),
        },
        decay: config["decay"].as_f64().unwrap_or(f64::NAN),
        count_padding: true,
        ..DictionaryConfig::new(get("codes")?)
    };
    let model = SohoConfig {
        backbone: ResNetConfig {
            width: get("width")?,
            ..ResNetConfig::new(depth)
        },
        d_model: get("dim")?,
        heads: get("heads")?,
        ffn: get("ffn")?,
        encoder_layers: get("layers")?,
        decoder_layers: 0,
        dropout: 0.0,
        max_positions: get("max_len")?,
        pool: Pool::Before,
        quantiser: Some(QuantiserConfig {
            fusion: match choice("mix").as_str() {
                "quant" => Fusion::Quantised,
                "add" => Fusion::Sum,
                "gate" => Fusion::Gate,
                other => return Err(format!("mix {other}")),
            },
            linear: true,
            dictionary,
        }),
        portrait_mask_fault: false,
        recompute: vec![],
    };
    let objectives = ObjectivesConfig {
        itm: Some(ItmConfig {
            bias: false,
            ..ItmConfig::default()
        }),
        mlm: Some(MlmConfig {
            head: MlmHead::Tied,
            ..MlmConfig::default()
        }),
        mvm: Some(MvmConfig {
            head: MvmHead::Cosine { temperature: 1.0 },
            ..MvmConfig::default()
        }),
        ..ObjectivesConfig::default()
    };
    let vocab = get("vocab")?;
    let sizes = HeadSizes {
        d_model: model.d_model,
        vocab_size: vocab,
        vocabularies: vec![],
        codes: get("codes")?,
        answers: 0,
    };
    Ok(Pretrain {
        model: model.init(vocab, device).map_err(|e| e.to_string())?,
        objectives: objectives.init(&sizes, device).map_err(|e| e.to_string())?,
    })
}

/// The place of the parameter at `path` of a pre-training module, `None` if PyTorch has none.
fn place(path: &str) -> Option<Place> {
    let (owner, leaf) = path.rsplit_once('.')?;
    let found = |name: String, transposed| {
        Some(Place {
            name,
            third: None,
            transposed,
        })
    };
    let tensor = match leaf {
        "gamma" => "weight",
        "beta" => "bias",
        other => other,
    };
    if owner.starts_with("model.backbone.") {
        return shared(path);
    }
    if owner == "objectives.itm.head" {
        return found("match_class.weight".into(), true);
    }
    let rest = owner.strip_prefix("model.")?;
    if let Some(table) = rest.strip_prefix("words.") {
        let table = match table {
            "norm" => return found(format!("embeddings.LayerNorm.{tensor}"), false),
            "word" => "word_embeddings",
            "position" => "position_embeddings",
            _ => "token_type_embeddings",
        };
        return found(format!("embeddings.{table}.weight"), false);
    }
    if let Some(layer) = rest.strip_prefix("encoder.layers.") {
        let (number, part) = layer.split_once('.')?;
        let part = match part {
            "attention.query" | "attention.key" | "attention.value" => {
                part.replace("attention", "attention.self")
            }
            "attention.output" => "attention.output.dense".into(),
            "norm1" => "attention.output.LayerNorm".into(),
            "feed_forward.inner" => "intermediate.dense".into(),
            "feed_forward.outer" => "output.dense".into(),
            "norm2" => "output.LayerNorm".into(),
            _ => return None,
        };
        let name = format!("encoder.{number}.{part}.{tensor}");
        return found(name, tensor == "weight");
    }
    match (rest, leaf) {
        ("input_proj.conv", _) => found("neck.conv.weight".into(), false),
        ("input_proj.norm", _) => found(format!("neck.bn.{tensor}"), false),
        ("quantiser.gate.conv", _) => found("neck.gate_conv.weight".into(), false),
        ("quantiser.gate.norm", _) => found(format!("neck.gate_bn.{tensor}"), false),
        ("quantiser.linear", _) => found(format!("neck.pos_line.{tensor}"), leaf == "weight"),
        ("quantiser", "mask") => found("neck.mask_emb.weight".into(), false),
        ("norm", _) => found(format!("neck.ln.{tensor}"), false),
        ("quantiser.dictionary", "running_codes") => found("neck.vq.embed".into(), false),
        ("quantiser.dictionary", "running_counts") => found("neck.vq.cluster_size".into(), false),
        ("quantiser.dictionary", "running_sums") => found("neck.vq.embed_avg".into(), false),
        _ => None,
    }
}

fn batch(case: &Case, device: &Device) -> Result<Batch<PretrainTargets>, String> {
    let images = images(case, device)?;
    let ids = case.get("in.ids")?;
    let (rows, count) = (ids.shape[0], images.pixels.dims()[0]);
    let labels: Vec<&[f64]> = case.get("in.mlm_labels")?.rows().collect();
    let (itm, kept) = (case.get("in.itm_labels")?, case.get("in.keep")?);
    let targets = (0..rows).map(|row| {
        let masked = labels[row].iter().enumerate().filter(|(_, id)| **id >= 0.0);
        PretrainTargets {
            itc: None,
            itm: Some(itm.at[row] != 0.0),
            mlm: Some(MlmTarget {
                masked: masked.map(|(i, &id)| (i, id as u32)).collect(),
            }),
            mvm: Some(()),
            detection: None,
            caption: None,
            vqa: None,
            nlvr2: None,
            snli_ve: None,
        }
    });
    let [_, h, w] = images.pad_mask.dims();
    // Five halvings of the trunk, rounded up, and the pool's, rounded down.
    let cells: usize = [h, w].iter().map(|side| side.div_ceil(32) / 2).product();
    let draws = case.get("in.where")?.at.iter().enumerate();
    let draws = draws.map(|(row, &cell)| {
        Some(CellDraw {
            at: (cell + 0.5) / cells as f64,
            keep: kept.at[row] != 0.0,
            rule: CellRule::Batch,
        })
    });
    Ok(Batch {
        all_pairs: None,
        pad: 0,
        text: TextBatch {
            ids: ids.int(device),
            pad_mask: case.get("in.text_pad")?.mask(device),
        },
        ids: ids
            .rows()
            .map(|row| row.iter().map(|&id| id as u32).collect())
            .collect(),
        image_of: (0..rows).map(|row| row / (rows / count)).collect(),
        cells: draws.collect(),
        targets: targets.collect(),
        images,
    })
}

/// Everything the reference returns, under its names, of one forward pass.
fn outputs(model: &Model, batch: &Batch<PretrainTargets>) -> Result<Outputs, String> {
    let Pretrain {
        model: soho,
        objectives,
    } = model;
    let inputs = batch.inputs();
    let mut out = Outputs::new();
    let cells = soho
        .cells(&batch.images, inputs.copies())
        .map_err(|e| e.to_string())?;
    let (Some(map), Some(quantiser)) = (&cells.quantised, &soho.quantiser) else {
        return Err("no dictionary".into());
    };
    for (i, stage) in cells.maps.iter().enumerate() {
        out.insert(format!("stages.{i}"), Values::of(stage.clone()));
    }
    let codes = Codes::read(map, cells.pad_mask.clone(), &inputs, &quantiser.dictionary);
    let rows = batch.image_of.len();
    let quant = inputs.beside_texts(map.quantised.clone());
    let [_, count, width] = quant.dims();
    let device = quant.device();
    out.insert(
        "projected".into(),
        Values::of(inputs.beside_texts(cells.projected.clone())),
    );
    out.insert(
        "quant".into(),
        Values::of(quant.reshape([rows * count, width])),
    );
    let indices = inputs.beside_texts(map.codes.clone().float());
    out.insert("indices".into(), Values::of(indices));
    let mut labels = Values {
        shape: vec![rows, count],
        at: vec![-100.0; rows * count],
    };
    for &(row, cell, code) in &codes.masked {
        labels.at[row * count + cell] = code as f64;
    }
    out.insert("mvm_labels".into(), labels);
    let pos = inputs.beside_texts(cells.pos.clone());
    out.insert("pos".into(), Values::of(pos.clone()));
    let mut tokens = inputs.beside_texts(cells.tokens.clone());
    if let Some(hidden) = codes.hidden(rows, &device) {
        tokens = quantiser.mask(tokens, hidden);
    }
    let visual = soho.visual(tokens, pos);
    out.insert("visual".into(), Values::of(visual.clone()));
    let pad_mask = inputs.mask_beside_texts(cells.pad_mask.clone());
    out.insert("visual_pad".into(), Values::of_mask(pad_mask.clone()));
    let words = soho.words.forward(batch.text.ids.clone());
    let length = words.dims()[1];
    let both = Tensor::cat(vec![batch.text.pad_mask.clone(), pad_mask], 1);
    let layers = soho.encode_all(Tensor::cat(vec![words, visual], 1), both);
    let last = layers.last().ok_or("no layer")?.clone();
    for (i, states) in layers.into_iter().enumerate() {
        out.insert(format!("encoder.{i}"), Values::of(states));
    }
    let flat = |from: usize, to: usize| {
        let part = last.clone().slice(s![.., from..to]);
        part.reshape([rows * (to - from), width])
    };
    let (itm, mlm, mvm) = match objectives {
        PretrainObjectives {
            itm: Some(itm),
            mlm: Some(mlm),
            mvm: Some(mvm),
            ..
        } => (itm, mlm, mvm),
        _ => return Err("an objective is missing".into()),
    };
    let head = |logits: Tensor<2>, places: usize| {
        let width = logits.dims()[1];
        Values::of(logits.reshape([rows, places, width]))
    };
    let text = flat(0, length);
    out.insert(
        "mlm".into(),
        head(mlm.logits(text.clone(), soho.words.words()), length),
    );
    let image = mvm.logits(flat(length, length + count), map.table.clone());
    out.insert("mvm".into(), head(image, count));
    let first = last.slice(s![.., 0..1]).reshape([rows, width]);
    out.insert("itm".into(), Values::of(itm.classify(first)));
    Ok(out)
}

/// State of dictionary and norm after one training pass.
fn after_update(soho: &Soho) -> Outputs {
    let mut found = Outputs::new();
    let Some(quantiser) = &soho.quantiser else {
        return found;
    };
    let [codes, counts, sums] = quantiser.dictionary.state();
    let norm = &soho.input_proj.norm;
    let flat = |values: Tensor<2>| values.squeeze_dim::<1>(1);
    let states = [
        ("embed", Values::of(codes)),
        ("cluster_size", Values::of(flat(counts))),
        ("embed_avg", Values::of(sums)),
        (
            "bn.running_mean",
            Values::of(norm.running_mean.value_sync()),
        ),
        ("bn.running_var", Values::of(norm.running_var.value_sync())),
    ];
    for (name, values) in states {
        found.insert(format!("after_update.{name}"), values);
    }
    found
}
