//! Models with the sizes of a case, loaded by the import.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::prelude::*;
use vlp::weights::import;
use vlp_models::{E2eVlp, E2eVlpConfig, Pool, Soho, SohoConfig};
use vlp_objectives::detection::{ClassVocabulary, DetectionConfig};
use vlp_objectives::{
    EncoderPasses, HeadSizes, Inputs, MlmConfig, ObjectivesConfig, Pairing, Pretrain,
    PretrainObjectives, VisionLanguage,
};
use vlp_transformer::{AttentionBias, TextBatch};
use vlp_vision::resnet::Depth;
use vlp_vision::{PaddedImages, ResNetConfig};

use crate::case::{Case, Values};

type Outputs = BTreeMap<String, Values>;
type BoxResult<T> = Result<T, Box<dyn Error>>;

/// Outputs by their names in the case, and the summary of the import.
pub(crate) fn outputs(case: &Case, weights: &Path) -> BoxResult<(Outputs, String)> {
    let device = Device::default();
    match case.json["kind"].as_str() {
        Some("resnet") => resnet(case, weights, &device),
        Some("bert") => bert(case, weights, &device),
        Some("detr") => detr(case, weights, &device),
        other => Err(format!("no model of kind {other:?}").into()),
    }
}

fn size(case: &Case, key: &str) -> BoxResult<usize> {
    let value = case.json[key].as_u64();
    Ok(value.ok_or_else(|| format!("size {key} is missing"))? as usize)
}

fn backbone(case: &Case) -> BoxResult<ResNetConfig> {
    Ok(
        ResNetConfig::new(Depth::try_from(size(case, "depth")? as u32)?)
            .with_width(size(case, "width")?),
    )
}

/// The smallest E2E-VLP with a backbone.
fn minimal_e2e_vlp(backbone: ResNetConfig) -> E2eVlpConfig {
    E2eVlpConfig::new(backbone)
        .with_d_model(8)
        .with_n_heads(2)
        .with_d_ff(8)
        .with_encoder_layers(1)
        .with_decoder_layers(1)
        .with_dropout(0.0)
        .with_max_positions(8)
}

/// Feature maps of the backbone.
fn resnet(case: &Case, weights: &Path, device: &Device) -> BoxResult<(Outputs, String)> {
    let pretrain = Pretrain {
        model: minimal_e2e_vlp(backbone(case)?).init(8, device)?,
        objectives: heads(ObjectivesConfig::default(), 8, 8, 0, device)?,
    };
    let (pretrain, note): (Pretrain<E2eVlp, PretrainObjectives>, _) = import(pretrain, weights)?;
    let feature_maps = pretrain
        .model
        .backbone
        .forward(case.get("in.pixels")?.float(device));
    let outputs = feature_maps.into_iter().enumerate();
    let outputs = outputs.map(|(stage, map)| (format!("stages.{stage}"), Values::of(map)));
    Ok((outputs.collect(), note))
}

/// SOHO's text embedding, its encoder on text only, and the MLM head: for one text, as in the objectives, and for two
/// segments.
fn bert(case: &Case, weights: &Path, device: &Device) -> BoxResult<(Outputs, String)> {
    let (d_model, vocab_size) = (size(case, "d_model")?, size(case, "vocab")?);
    let config = SohoConfig::new(ResNetConfig::new(Depth::R10).with_width(1))
        .with_d_model(d_model)
        .with_n_heads(size(case, "heads")?)
        .with_d_ff(size(case, "ffn")?)
        .with_encoder_layers(size(case, "layers")?)
        .with_dropout(0.0)
        .with_max_positions(size(case, "positions")?)
        .with_pool(Pool::None)
        .with_quantizer(None);
    // A `BertModel` has no MLM head, and a missing tensor is an error of the import.
    let predicts = case.tensors.contains_key("out.one.mlm");
    let objectives = ObjectivesConfig::default().with_mlm(predicts.then(MlmConfig::default));
    let pretrain = Pretrain {
        model: config.init(vocab_size, device)?,
        objectives: heads(objectives, d_model, vocab_size, 0, device)?,
    };
    let (pretrain, note): (Pretrain<Soho, PretrainObjectives>, _) = import(pretrain, weights)?;
    let text = TextBatch {
        ids: case.get("in.ids")?.int(device),
        pad_mask: case.get("in.pad")?.mask(device),
    };
    let model = &pretrain.model;
    let embedded = model.words.forward(text.ids.clone());
    let one = (embedded, model.encode_text(&text).states);
    let types = case.get("in.types")?.int(device);
    let embedded = model.words.forward_with_token_types(text.ids, types);
    let bias = AttentionBias::padding(text.pad_mask);
    let states = model.encoder.forward(embedded.clone(), None, Some(&bias));
    let mut outputs = Outputs::new();
    for (prefix, (embedding, states)) in [("one", one), ("pair", (embedded, states))] {
        let [rows, length, width] = states.dims();
        if let Some(mlm) = &pretrain.objectives.mlm {
            let flat = states.clone().reshape([rows * length, width]);
            let logits = mlm.logits(flat, model.words.token_embedding());
            let logits = Values::of(logits.reshape([rows, length, vocab_size]));
            outputs.insert(format!("{prefix}.mlm"), logits);
        }
        outputs.insert(format!("{prefix}.embedding"), Values::of(embedding));
        outputs.insert(format!("{prefix}.states"), Values::of(states));
    }
    Ok((outputs, note))
}

/// E2E-VLP's image-only pass and detection.
fn detr(case: &Case, weights: &Path, device: &Device) -> BoxResult<(Outputs, String)> {
    let (d_model, layers) = (size(case, "d_model")?, size(case, "layers")?);
    let config = minimal_e2e_vlp(backbone(case)?)
        .with_d_model(d_model)
        .with_n_heads(size(case, "heads")?)
        .with_d_ff(size(case, "ffn")?)
        .with_encoder_layers(layers)
        .with_decoder_layers(layers);
    let objectives = ObjectivesConfig::default().with_detection(Some(
        DetectionConfig::default().with_num_queries(size(case, "queries")?),
    ));
    let pretrain = Pretrain {
        model: config.init(8, device)?,
        objectives: heads(objectives, d_model, 8, size(case, "classes")?, device)?,
    };
    let (pretrain, note): (Pretrain<E2eVlp, PretrainObjectives>, _) = import(pretrain, weights)?;
    let images = PaddedImages {
        pixels: case.get("in.pixels")?.float(device),
        pad_mask: case.get("in.pad")?.mask(device),
    };
    let text = TextBatch::collate(&[], 0, device);
    let pairing = Pairing::new(images.pixels.dims()[0], vec![]);
    let inputs = Inputs::new(&images, &text, &pairing);
    let output = pretrain.model.encode(&inputs, EncoderPasses::IMAGE)?;
    let memory = output.image();
    let detection = pretrain
        .objectives
        .detection
        .as_ref()
        .ok_or("no detection")?;
    let states = detection.states(memory, output.parts.decoder("detection")?);
    let states = states.narrow(0, layers - 1, 1);
    let predictions = detection.predict(states.clone(), 0);
    let last = |stack: Tensor<4>| Values::of(stack.squeeze_dim::<3>(0));
    let outputs = Outputs::from([
        ("memory".to_owned(), Values::of(memory.states.clone())),
        ("states".to_owned(), last(states)),
        ("logits".to_owned(), last(predictions.logits)),
        ("boxes".to_owned(), last(predictions.boxes)),
    ]);
    Ok((outputs, note))
}

/// Heads of these sizes; `classes` is 0 without detection.
fn heads(
    config: ObjectivesConfig,
    d_model: usize,
    vocab_size: usize,
    classes: usize,
    device: &Device,
) -> BoxResult<PretrainObjectives> {
    let vocabulary = ClassVocabulary {
        name: "parity".into(),
        classes,
        attributes: 0,
    };
    let sizes = HeadSizes {
        d_model,
        vocab_size,
        vocabularies: vec![vocabulary],
        codes: 0,
        answers: 0,
    };
    Ok(config.init(&sizes, device)?)
}
