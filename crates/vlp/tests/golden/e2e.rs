//! Whole E2E-VLP models: outputs, losses, gradients and three optimizer steps.

use burn::prelude::*;
use serde_json::Value;
use vlp_models::{E2eVlp, E2eVlpConfig};
use vlp_objectives::captioning::CaptionTarget;
use vlp_objectives::detection::{
    ClassVocabulary, DetectionConfig, DetectionTarget, MatchCost, Matcher, TargetObject,
};
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::{
    Batch, CaptioningConfig, HeadSizes, ItmConfig, MlmConfig, ObjectivesConfig, Pairing, Pretrain,
    PretrainObjectives, PretrainTargets, VisionLanguage,
};
use vlp_train::{GroupConfig, OptimizerConfig};
use vlp_transformer::TextBatch;
use vlp_vision::ResNetConfig;
use vlp_vision::resnet::Depth;

use crate::captured;
use crate::case::{Case, Values};
use crate::model::{Outputs, images, judge_losses, judge_outputs, judge_training, load, size};
use crate::names::torch_param;
use crate::report::Report;

type Model = Pretrain<E2eVlp, PretrainObjectives>;

pub(crate) fn run(case: &Case, report: &mut Report) -> Result<(), String> {
    let device = Device::default().autodiff();
    let model = load(
        case,
        build(&case.json["spec"], &device)?,
        torch_param,
        report,
    )?;
    let inference_batch = batch(case, &Device::default())?;
    let batch = batch(case, &device)?;
    let outputs = outputs(case, &model, &batch)?;
    judge_outputs(case, "", &outputs, report);
    let expected = &case.json["tensors"];
    for name in outputs
        .keys()
        .filter(|name| !expected[name.as_str()].is_object())
    {
        report.fail(name, "PyTorch has no such output");
    }
    // Inference uses other code (fused attention, no graph) with the same results.
    let inference = model.valid();
    let outputs = self::outputs(case, &inference, &inference_batch)?;
    judge_outputs(case, "inference:", &outputs, report);
    captured::judge(&inference.model, &inference_batch, report)?;
    let ids = &case.get("in.caption_ids")?.values;
    let caption: Vec<u32> = ids
        .iter()
        .map(|&id| id as u32)
        .take_while(|&id| id != 0)
        .collect();
    let (Some(head), &[bos, .., eos]) = (&inference.objectives.caption, &caption[..]) else {
        return Err("no captioning head, or a caption without [CLS] and [SEP]".into());
    };
    captured::judge_captions(&inference.model, head, (bos, eos), &inference_batch, report)?;
    judge_losses(case, &model, &batch, torch_param, report)?;
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let learning_rates = &case.json["spec"]["lr"];
    let optimizer = OptimizerConfig::default()
        .with_learning_rate(number(&learning_rates[0]))
        .with_groups(vec![GroupConfig::new(
            r"^model\.backbone\.",
            number(&learning_rates[1]),
        )]);
    judge_training(case, model, &batch, optimizer, report)
}

fn build(spec: &Value, device: &Device) -> Result<Model, String> {
    let config = &spec["config"];
    let get = |key| size(config, key);
    let depth = Depth::try_from(get("depth")? as u32).map_err(|e| e.to_string())?;
    let model = E2eVlpConfig::new(ResNetConfig::new(depth).with_width(get("width")?))
        .with_d_model(get("dim")?)
        .with_n_heads(get("heads")?)
        .with_d_ff(get("ffn")?)
        .with_encoder_layers(get("enc_layers")?)
        .with_decoder_layers(get("dec_layers")?)
        .with_caption_layers(get("cap_layers")?)
        .with_dropout(0.0)
        .with_max_positions(get("max_len")?);
    let objectives = ObjectivesConfig::default()
        .with_itm(Some(ItmConfig::default()))
        .with_mlm(Some(MlmConfig::default()))
        .with_detection(Some(
            DetectionConfig::default()
                .with_num_queries(get("queries")?)
                .with_from_joint(config["detect_from"] == "joint")
                .with_cost(
                    MatchCost::default().with_attribute(spec["w_attr"].as_f64().unwrap_or(0.0)),
                ),
        ))
        .with_caption(Some(CaptioningConfig::default()));
    let vocabulary = ClassVocabulary {
        name: "golden".into(),
        classes: get("classes")?,
        attributes: get("attrs")?,
    };
    let vocab_size = get("vocab")?;
    let sizes = HeadSizes {
        d_model: model.d_model,
        vocab_size,
        vocabularies: vec![vocabulary],
        codes: 0,
        answers: 0,
    };
    Ok(Pretrain {
        model: model.init(vocab_size, device).map_err(|e| e.to_string())?,
        objectives: objectives.init(&sizes, device).map_err(|e| e.to_string())?,
    })
}

fn batch(case: &Case, device: &Device) -> Result<Batch<PretrainTargets>, String> {
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
            Ok(PretrainTargets {
                itc: None,
                itm: Some(itm.values[row] != 0.0),
                mlm: Some(MlmTarget {
                    masked: masked.map(|(i, &id)| (i, id as u32)).collect(),
                }),
                mvm: None,
                detection: Some(target(case, "in.targets.", row)?),
                caption: Some(CaptionTarget {
                    seed: 0,
                    image_id: 0,
                    ids: caption,
                    references: vec![],
                    bos_eos: (0, 0),
                    pad: 0,
                }),
                vqa: None,
                nlvr2: None,
                snli_ve: None,
            })
        })
        .collect::<Result<_, String>>()?;
    Ok(Batch {
        all_pairs: None,
        pad: 0,
        target_tensors: vec![],
        images: images(case, device)?,
        text: TextBatch {
            ids: ids.int(device),
            pad_mask: case.get("in.text_pad")?.mask(device),
        },
        ids: ids
            .rows()
            .map(|row| row.iter().map(|&id| id as u32).collect())
            .collect(),
        pairing: Pairing::one_to_one(rows),
        image_texts: None,
        target_index: (0..rows).collect(),
        visual_masks: None,
        targets,
    })
}

/// Objects of image `image`, stored as `{prefix}{image}.labels`, `.attrs` (-1: none) and `.boxes`.
pub(crate) fn target(case: &Case, prefix: &str, image: usize) -> Result<DetectionTarget, String> {
    let get = |key: &str| case.get(&format!("{prefix}{image}.{key}"));
    let (attributes, boxes) = (get("attrs")?, get("boxes")?);
    let objects = get("labels")?
        .values
        .iter()
        .enumerate()
        .map(|(i, &class)| TargetObject {
            class: class as usize,
            bbox: std::array::from_fn(|k| boxes.values[4 * i + k] as f32),
            attributes: Some(attributes.values[i])
                .filter(|a| *a >= 0.0)
                .map(|a| a as usize)
                .into_iter()
                .collect(),
        });
    Ok(DetectionTarget {
        vocabulary: Some(0),
        objects: objects.collect(),
        dropped: 0,
        ground_truth: vec![],
        image_id: image as u64,
        size: (1, 1),
    })
}

/// Pairs as in PyTorch: queries, then objects, `[2, pairs]`.
pub(crate) fn pair_values(pairs: &[(usize, usize)]) -> Values {
    let queries = pairs.iter().map(|p| p.0 as f64);
    Values {
        shape: vec![2, pairs.len()],
        values: queries.chain(pairs.iter().map(|p| p.1 as f64)).collect(),
    }
}

/// Everything the reference returns, by its names.
fn outputs(case: &Case, model: &Model, batch: &Batch<PretrainTargets>) -> Result<Outputs, String> {
    let Pretrain {
        model: vlp,
        objectives,
    } = model;
    let fail = |e: vlp_objectives::ObjectiveError| e.to_string();
    let mut outputs = Outputs::new();
    let device = batch.images.pixels.device();
    let image = vlp
        .image_tokens(&batch.images, 1)
        .map_err(|e| e.to_string())?;
    let encoder = vlp.encode_all(&vlp.joint_tokens(&image.tokens, &batch.text));
    let output = model.encode(batch).map_err(fail)?;
    let (itm, mlm) = (
        objectives.itm.as_ref().unwrap(),
        objectives.mlm.as_ref().unwrap(),
    );
    let (detection, caption) = (
        objectives.detection.as_ref().unwrap(),
        objectives.caption.as_ref().unwrap(),
    );
    for (i, features) in image.feature_maps.into_iter().enumerate() {
        outputs.insert(format!("stages.{i}"), Values::of(features));
    }
    for (i, states) in encoder.into_iter().enumerate() {
        outputs.insert(format!("encoder.{i}"), Values::of(states));
    }
    outputs.insert("src".into(), Values::of(image.tokens.states));
    outputs.insert("pos".into(), Values::of(image.tokens.pos));
    outputs.insert("pad".into(), Values::of_mask(image.tokens.pad_mask));
    outputs.insert(
        "itm".into(),
        Values::of(itm.logits(output.joint().text.cls())),
    );
    let text = output.joint().text.states.clone();
    let [n, length, width] = text.dims();
    let logits = mlm.logits(
        text.reshape([n * length, width]),
        output.parts.token_embedding(),
    );
    let vocab = logits.dims()[1];
    outputs.insert("mlm".into(), Values::of(logits.reshape([n, length, vocab])));
    let memory = output.image();
    outputs.insert("image_memory".into(), Values::of(memory.states.clone()));
    let ids = case.get("in.caption_ids")?.int::<2>(&device);
    let text = TextBatch {
        pad_mask: ids.clone().equal_elem(0),
        ids,
    };
    outputs.insert(
        "caption".into(),
        Values::of(caption.head(&output).map_err(fail)?.logits(&text)),
    );
    let decoder = output.parts.decoder("detection").map_err(fail)?;
    let memory = match case.json["spec"]["config"]["detect_from"] == "joint" {
        true => &output.joint().image,
        false => memory,
    };
    let states = detection.states(memory, decoder);
    let predictions = detection.predict(states.clone(), 0);
    let stacks = [
        ("hs", Some(states)),
        ("logits", Some(predictions.logits.clone())),
        ("attrs", predictions.attributes.clone()),
        ("boxes", Some(predictions.boxes.clone())),
    ];
    for (name, stack) in stacks {
        for (i, layer) in stack.into_iter().flat_map(|s| s.iter_dim(0)).enumerate() {
            outputs.insert(format!("{name}.{i}"), Values::of(layer.squeeze_dim::<3>(0)));
        }
    }
    let targets: Vec<&DetectionTarget> = batch
        .targets
        .iter()
        .map(|t| t.detection.as_ref().unwrap())
        .collect();
    let cost =
        MatchCost::default().with_attribute(case.json["spec"]["w_attr"].as_f64().unwrap_or(0.0));
    let pairs = Matcher::default()
        .assign(&predictions, &targets, &cost)
        .map_err(fail)?;
    for (layer, images) in pairs.iter().enumerate() {
        for (image, pairs) in images.iter().enumerate() {
            outputs.insert(format!("match.{layer}.{image}"), pair_values(pairs));
        }
    }
    Ok(outputs)
}
