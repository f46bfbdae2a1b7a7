//! Models of the sizes of a case, filled by the import and run.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::prelude::*;
use vlp::weights::import;
use vlp_models::{
    E2eVlp, E2eVlpConfig, HeadSizes, ObjectivesConfig, Pool, PretrainObjectives, Soho, SohoConfig,
};
use vlp_objectives::detection::{ClassVocabulary, DetectionConfig};
use vlp_objectives::{Inputs, MlmConfig, Needs, Pretrain, TextEncoder, VisionLanguage};
use vlp_transformer::{AttentionBias, TextBatch};
use vlp_vision::resnet::Depth;
use vlp_vision::{PaddedImages, ResNetConfig};

use crate::case::{Case, Values};

type Outputs = BTreeMap<String, Values>;
type Found<T> = Result<T, Box<dyn Error>>;

/// Outputs by the case's names, and what the import says of the file.
pub(crate) fn outputs(case: &Case, weights: &Path) -> Found<(Outputs, String)> {
    let device = Device::default();
    match case.json["kind"].as_str() {
        Some("resnet") => resnet(case, weights, &device),
        Some("bert") => bert(case, weights, &device),
        Some("detr") => detr(case, weights, &device),
        other => Err(format!("no model of kind {other:?}").into()),
    }
}

fn size(case: &Case, key: &str) -> Found<usize> {
    let value = case.json[key].as_u64();
    Ok(value.ok_or_else(|| format!("size {key} is missing"))? as usize)
}

fn trunk(case: &Case) -> Found<ResNetConfig> {
    Ok(ResNetConfig {
        width: size(case, "width")?,
        ..ResNetConfig::new(Depth::try_from(size(case, "depth")? as u32)?)
    })
}

/// E2E-VLP around a trunk, no larger than it must be.
fn least(backbone: ResNetConfig) -> E2eVlpConfig {
    E2eVlpConfig {
        backbone,
        d_model: 8,
        heads: 2,
        ffn: 8,
        encoder_layers: 1,
        decoder_layers: 1,
        caption_layers: 0,
        dropout: 0.0,
        max_positions: 8,
        modality_embedding: false,
        recompute: vec![],
        quantiser: None,
    }
}

/// The trunk's maps.
fn resnet(case: &Case, weights: &Path, device: &Device) -> Found<(Outputs, String)> {
    let own = Pretrain {
        model: least(trunk(case)?).init(8, device)?,
        objectives: heads(ObjectivesConfig::default(), 8, 8, 0, device)?,
    };
    let (own, note): (Pretrain<E2eVlp, PretrainObjectives>, _) = import(own, weights)?;
    let maps = own
        .model
        .backbone
        .forward(case.get("in.pixels")?.float(device));
    let named = |(stage, map)| (format!("stages.{stage}"), Values::of(map));
    Ok((maps.into_iter().enumerate().map(named).collect(), note))
}

/// SOHO's text embedding, its encoder over words alone and the head of masked words: of one text, as the objectives
/// run them, and of two segments.
fn bert(case: &Case, weights: &Path, device: &Device) -> Found<(Outputs, String)> {
    let (d_model, vocab) = (size(case, "d_model")?, size(case, "vocab")?);
    let config = SohoConfig {
        backbone: ResNetConfig {
            width: 1,
            ..ResNetConfig::new(Depth::R10)
        },
        d_model,
        heads: size(case, "heads")?,
        ffn: size(case, "ffn")?,
        encoder_layers: size(case, "layers")?,
        decoder_layers: 0,
        dropout: 0.0,
        max_positions: size(case, "positions")?,
        pool: Pool::None,
        quantiser: None,
        portrait_mask_fault: false,
        recompute: vec![],
    };
    // A `BertModel` has no head, and an import that lacks one is an error.
    let predicts = case.tensors.contains_key("out.one.mlm");
    let objectives = ObjectivesConfig {
        mlm: predicts.then(MlmConfig::default),
        ..ObjectivesConfig::default()
    };
    let own = Pretrain {
        model: config.init(vocab, device)?,
        objectives: heads(objectives, d_model, vocab, 0, device)?,
    };
    let (own, note): (Pretrain<Soho, PretrainObjectives>, _) = import(own, weights)?;
    let text = TextBatch {
        ids: case.get("in.ids")?.int(device),
        pad_mask: case.get("in.pad")?.mask(device),
    };
    let model = &own.model;
    let embedded = model.words.forward(text.ids.clone());
    let one = (embedded, model.encode_text(&text).states);
    let types = case.get("in.types")?.int(device);
    let embedded = model.words.forward_typed(text.ids, types);
    let bias = AttentionBias::padding(text.pad_mask);
    let states = model.encoder.forward(embedded.clone(), None, Some(&bias));
    let mut outputs = Outputs::new();
    for (prefix, (embedding, states)) in [("one", one), ("pair", (embedded, states))] {
        let [rows, length, width] = states.dims();
        if let Some(mlm) = &own.objectives.mlm {
            let flat = states.clone().reshape([rows * length, width]);
            let logits = mlm.logits(flat, model.words.words());
            let logits = Values::of(logits.reshape([rows, length, vocab]));
            outputs.insert(format!("{prefix}.mlm"), logits);
        }
        outputs.insert(format!("{prefix}.embedding"), Values::of(embedding));
        outputs.insert(format!("{prefix}.states"), Values::of(states));
    }
    Ok((outputs, note))
}

/// E2E-VLP's image-only pass and the detection of its queries.
fn detr(case: &Case, weights: &Path, device: &Device) -> Found<(Outputs, String)> {
    let (d_model, layers) = (size(case, "d_model")?, size(case, "layers")?);
    let config = E2eVlpConfig {
        d_model,
        heads: size(case, "heads")?,
        ffn: size(case, "ffn")?,
        encoder_layers: layers,
        decoder_layers: layers,
        ..least(trunk(case)?)
    };
    let objectives = ObjectivesConfig {
        detection: Some(DetectionConfig {
            num_queries: size(case, "queries")?,
            ..DetectionConfig::default()
        }),
        ..ObjectivesConfig::default()
    };
    let own = Pretrain {
        model: config.init(8, device)?,
        objectives: heads(objectives, d_model, 8, size(case, "classes")?, device)?,
    };
    let (own, note): (Pretrain<E2eVlp, PretrainObjectives>, _) = import(own, weights)?;
    let images = PaddedImages {
        pixels: case.get("in.pixels")?.float(device),
        pad_mask: case.get("in.pad")?.mask(device),
    };
    let inputs = Inputs {
        images: &images,
        text: &TextBatch::pack(&[], 0, device),
        image_of: &[],
        cells: &[],
    };
    let encoded = own.model.encode(&inputs, Needs::IMAGE)?;
    let memory = encoded.image("detection")?.states.clone();
    let detection = own.objectives.detection.as_ref().ok_or("no detection")?;
    let states = detection.states(&encoded)?.narrow(0, layers - 1, 1);
    let found = detection.output(states.clone(), 0);
    let last = |stack: Tensor<4>| Values::of(stack.squeeze_dim::<3>(0));
    let outputs = Outputs::from([
        ("memory".to_owned(), Values::of(memory)),
        ("states".to_owned(), last(states)),
        ("logits".to_owned(), last(found.logits)),
        ("boxes".to_owned(), last(found.boxes)),
    ]);
    Ok((outputs, note))
}

/// Heads for these sizes; `classes` 0 for no detection.
fn heads(
    config: ObjectivesConfig,
    d_model: usize,
    vocab_size: usize,
    classes: usize,
    device: &Device,
) -> Found<PretrainObjectives> {
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
