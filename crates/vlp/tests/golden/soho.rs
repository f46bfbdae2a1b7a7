//! Whole SOHO models: outputs, the dictionary after its update, losses, gradients and three optimizer steps.

use burn::prelude::*;
use vlp_models::{Pool, Soho, SohoConfig};
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::{
    Batch, Codes, HeadSizes, ItmConfig, MaskSampling, MlmConfig, MlmHead, MvmConfig, MvmHead,
    ObjectivesConfig, Pairing, Pretrain, PretrainObjectives, PretrainTargets, VisionLanguage,
    VisualMask, VisualMasks,
};
use vlp_train::{GroupConfig, OptimizerConfig, OptimizerKind};
use vlp_transformer::TextBatch;
use vlp_vision::resnet::Depth;
use vlp_vision::{DictionaryConfig, Fusion, ResNetConfig, UpdateRule, VectorQuantizerConfig};

use crate::captured;
use crate::case::{Case, Values};
use crate::model::{Outputs, images, judge_losses, judge_outputs, judge_training, load, size};
use crate::names::{TorchParam, torch_param as backbone_param};
use crate::report::Report;

type Model = Pretrain<Soho, PretrainObjectives>;

pub(crate) fn run(case: &Case, report: &mut Report) -> Result<(), String> {
    let device = Device::default().autodiff();
    // Every forward pass in training updates the dictionary: each comparison needs a new model.
    let mut new_model = || load(case, build(case, &device)?, torch_param, report);
    let (output_model, loss_model, trained_model) = (new_model()?, new_model()?, new_model()?);
    let unmasked = Batch {
        visual_masks: None,
        ..batch(case, &Device::default())?
    };
    let inference_model = output_model.model.valid();
    captured::judge(&inference_model, &unmasked, report)?;
    captured::judge(&inference_model, &batch(case, &Device::default())?, report)?;
    let batch = batch(case, &device)?;
    let mut outputs = Outputs::new();
    for (name, value) in self::outputs(&output_model.valid(), &unmasked)? {
        let names = ["indices", "quant", "visual", "mlm", "itm", "mvm"];
        if names.contains(&name.as_str()) {
            outputs.insert(format!("eval.{name}"), value);
        }
    }
    outputs.extend(self::outputs(&output_model, &batch)?);
    outputs.extend(after_update(&output_model.model.valid()));
    judge_outputs(case, "", &outputs, report);
    judge_losses(case, &loss_model, &batch, torch_param, report)?;
    let optimizer = OptimizerConfig::default()
        .with_weight_decay(0.01)
        .with_groups(vec![
            GroupConfig::new(r"^model\.backbone\.", 1e-2)
                .with_kind(OptimizerKind::Sgd { momentum: 0.9 }),
        ]);
    judge_training(case, trained_model, &batch, optimizer, report)
}

fn build(case: &Case, device: &Device) -> Result<Model, String> {
    let config = &case.json["spec"]["config"];
    let get = |key| size(config, key);
    let choice = |key: &str| config[key].as_str().unwrap_or_default().to_owned();
    let depth = Depth::try_from(get("depth")? as u32).map_err(|e| e.to_string())?;
    let update = match choice("update").as_str() {
        "average" => UpdateRule::Released,
        "paper" => UpdateRule::Paper,
        other => return Err(format!("update {other}")),
    };
    let dictionary = DictionaryConfig::new(get("codes")?)
        .with_update(update)
        .with_decay(config["decay"].as_f64().unwrap_or(f64::NAN))
        .with_count_padding(true);
    let fusion = match choice("mix").as_str() {
        "quant" => Fusion::Quantized,
        "add" => Fusion::Sum,
        "gate" => Fusion::Gate,
        other => return Err(format!("mix {other}")),
    };
    let model = SohoConfig::new(ResNetConfig::new(depth).with_width(get("width")?))
        .with_d_model(get("dim")?)
        .with_n_heads(get("heads")?)
        .with_d_ff(get("ffn")?)
        .with_encoder_layers(get("layers")?)
        .with_dropout(0.0)
        .with_max_positions(get("max_len")?)
        .with_pool(Pool::Before)
        .with_quantizer(Some(
            VectorQuantizerConfig::new(get("codes")?)
                .with_fusion(fusion)
                .with_linear(true)
                .with_dictionary(dictionary),
        ));
    let objectives = ObjectivesConfig::default()
        .with_itm(Some(ItmConfig::default().with_bias(false)))
        .with_mlm(Some(MlmConfig::default().with_head(MlmHead::Tied)))
        .with_mvm(Some(
            MvmConfig::default().with_head(MvmHead::Cosine { temperature: 1.0 }),
        ));
    let vocab_size = get("vocab")?;
    let sizes = HeadSizes {
        d_model: model.d_model,
        vocab_size,
        vocabularies: vec![],
        codes: get("codes")?,
        answers: 0,
    };
    Ok(Pretrain {
        model: model.init(vocab_size, device).map_err(|e| e.to_string())?,
        objectives: objectives.init(&sizes, device).map_err(|e| e.to_string())?,
    })
}

/// The PyTorch parameter of the parameter at `path` of a pre-training module; `None` if there is none.
fn torch_param(path: &str) -> Option<TorchParam> {
    let (owner, leaf) = path.rsplit_once('.')?;
    let param = |name: String, transposed| {
        Some(TorchParam {
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
        return backbone_param(path);
    }
    if owner == "objectives.itm.head" {
        return param("match_class.weight".into(), true);
    }
    let rest = owner.strip_prefix("model.")?;
    if let Some(table) = rest.strip_prefix("words.") {
        let table = match table {
            "norm" => return param(format!("embeddings.LayerNorm.{tensor}"), false),
            "word" => "word_embeddings",
            "position" => "position_embeddings",
            _ => "token_type_embeddings",
        };
        return param(format!("embeddings.{table}.weight"), false);
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
        return param(name, tensor == "weight");
    }
    match (rest, leaf) {
        ("input_proj.conv", _) => param("neck.conv.weight".into(), false),
        ("input_proj.norm", _) => param(format!("neck.bn.{tensor}"), false),
        ("quantizer.gate.conv", _) => param("neck.gate_conv.weight".into(), false),
        ("quantizer.gate.norm", _) => param(format!("neck.gate_bn.{tensor}"), false),
        ("quantizer.linear", _) => param(format!("neck.pos_line.{tensor}"), leaf == "weight"),
        ("quantizer", "mask") => param("neck.mask_emb.weight".into(), false),
        ("norm", _) => param(format!("neck.ln.{tensor}"), false),
        ("quantizer.dictionary", "running_codes") => param("neck.vq.embed".into(), false),
        ("quantizer.dictionary", "running_counts") => param("neck.vq.cluster_size".into(), false),
        ("quantizer.dictionary", "running_sums") => param("neck.vq.embed_avg".into(), false),
        _ => None,
    }
}

fn batch(case: &Case, device: &Device) -> Result<Batch<PretrainTargets>, String> {
    let images = images(case, device)?;
    let ids = case.get("in.ids")?;
    let (rows, count) = (ids.shape[0], images.pixels.dims()[0]);
    let labels: Vec<&[f64]> = case.get("in.mlm_labels")?.rows().collect();
    let (itm, active) = (case.get("in.itm_labels")?, case.get("in.keep")?);
    let targets = (0..rows).map(|row| {
        let masked = labels[row].iter().enumerate().filter(|(_, id)| **id >= 0.0);
        PretrainTargets {
            itc: None,
            itm: Some(itm.values[row] != 0.0),
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
    // The backbone divides by 32, rounding up, and the pool by 2, rounding down.
    let tokens: usize = [h, w].iter().map(|side| side.div_ceil(32) / 2).product();
    let positions = case.get("in.where")?.values.iter().enumerate();
    let visual_masks = positions.map(|(row, &token)| {
        Some(VisualMask {
            position: (token + 0.5) / tokens as f64,
            active: active.values[row] != 0.0,
            sampling: MaskSampling::Batch,
        })
    });
    let visual_masks: Vec<Option<VisualMask>> = visual_masks.collect();
    Ok(Batch {
        all_pairs: None,
        pad: 0,
        target_tensors: vec![],
        text: TextBatch {
            ids: ids.int(device),
            pad_mask: case.get("in.text_pad")?.mask(device),
        },
        ids: ids
            .rows()
            .map(|row| row.iter().map(|&id| id as u32).collect())
            .collect(),
        pairing: Pairing::new(count, (0..rows).map(|row| row / (rows / count)).collect()),
        image_texts: None,
        target_index: (0..rows).collect(),
        visual_masks: VisualMasks::new(&visual_masks, device),
        targets: targets.collect(),
        images,
    })
}

/// Everything the reference returns of one forward pass, by its names.
fn outputs(model: &Model, batch: &Batch<PretrainTargets>) -> Result<Outputs, String> {
    let Pretrain {
        model: soho,
        objectives,
    } = model;
    let inputs = batch.inputs();
    let mut outputs = Outputs::new();
    let image_tokens = soho
        .image_tokens(&batch.images, batch.pairing.texts_per_image())
        .map_err(|e| e.to_string())?;
    let memory = &image_tokens.tokens;
    let (Some(quantized), Some(quantizer)) = (&image_tokens.quantized, &soho.quantizer) else {
        return Err("no dictionary".into());
    };
    for (i, stage) in image_tokens.feature_maps.iter().enumerate() {
        outputs.insert(format!("stages.{i}"), Values::of(stage.clone()));
    }
    let codes = Codes::new(quantized, memory.pad_mask.clone(), &inputs);
    let rows = batch.pairing.texts();
    let states = batch.pairing.gather_per_text(quantized.quantized.clone());
    let [_, count, width] = states.dims();
    let [h, w] = image_tokens.grid;
    let projected = batch.pairing.gather_per_text(quantized.features.clone());
    let projected = projected.swap_dims(1, 2).reshape([rows, width, h, w]);
    outputs.insert("projected".into(), Values::of(projected));
    outputs.insert(
        "quant".into(),
        Values::of(states.reshape([rows * count, width])),
    );
    let indices = batch
        .pairing
        .gather_per_text(quantized.codes.clone().float());
    outputs.insert("indices".into(), Values::of(indices));
    let mut labels = Values {
        shape: vec![rows, count],
        values: vec![-100.0; rows * count],
    };
    for token in codes.masked() {
        labels.values[token.row * count + token.position] = token.code as f64;
    }
    outputs.insert("mvm_labels".into(), labels);
    let pos = batch.pairing.gather_per_text(memory.pos.clone());
    outputs.insert("pos".into(), Values::of(pos.clone()));
    let mut tokens = batch.pairing.gather_per_text(memory.states.clone());
    if let Some(mask) = codes.mask() {
        tokens = quantizer.mask(tokens, mask);
    }
    let visual = soho.add_positions(tokens, pos);
    outputs.insert("visual".into(), Values::of(visual.clone()));
    let pad_mask = batch.pairing.gather_mask_per_text(memory.pad_mask.clone());
    outputs.insert("visual_pad".into(), Values::of_mask(pad_mask.clone()));
    let words = soho.words.forward(batch.text.ids.clone());
    let length = words.dims()[1];
    let joint_mask = Tensor::cat(vec![batch.text.pad_mask.clone(), pad_mask], 1);
    let layers = soho.encode_all(Tensor::cat(vec![words, visual], 1), joint_mask);
    let last = layers.last().ok_or("no layer")?.clone();
    for (i, states) in layers.into_iter().enumerate() {
        outputs.insert(format!("encoder.{i}"), Values::of(states));
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
    let head = |logits: Tensor<2>, positions: usize| {
        let width = logits.dims()[1];
        Values::of(logits.reshape([rows, positions, width]))
    };
    let text = flat(0, length);
    outputs.insert(
        "mlm".into(),
        head(
            mlm.logits(text.clone(), soho.words.token_embedding()),
            length,
        ),
    );
    let image = mvm.logits(flat(length, length + count), quantized.codebook.clone());
    outputs.insert("mvm".into(), head(image, count));
    let first = last.slice(s![.., 0..1]).reshape([rows, width]);
    outputs.insert("itm".into(), Values::of(itm.logits(first)));
    Ok(outputs)
}

/// Buffers of dictionary and norm after one training pass.
fn after_update(soho: &Soho) -> Outputs {
    let mut outputs = Outputs::new();
    let Some(quantizer) = &soho.quantizer else {
        return outputs;
    };
    let [codes, counts, sums] = quantizer.dictionary.state();
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
        outputs.insert(format!("after_update.{name}"), values);
    }
    outputs
}
