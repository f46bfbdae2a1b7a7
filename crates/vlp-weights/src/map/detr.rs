//! Names of DETR, as its authors and as Hugging Face spell them.

use super::layer::{Part, decoder, encoder};
use super::{Rows, Source, resnet};

/// What both spellings have in common: where the trunk, the heads and the layers are.
struct Spelling {
    trunk: &'static str,
    projection: &'static str,
    queries: &'static str,
    class: &'static str,
    boxes: &'static str,
    decoder_norm: &'static str,
    layer: fn(bool, &str, Part<'_>) -> Option<Source>,
}

const FACEBOOK: Spelling = Spelling {
    trunk: "backbone.0.body",
    projection: "input_proj",
    queries: "query_embed.weight",
    class: "class_embed",
    boxes: "bbox_embed.layers",
    decoder_norm: "transformer.decoder.norm",
    layer: facebook_layer,
};

const HUGGING_FACE: Spelling = Spelling {
    trunk: "backbone",
    projection: "input_projection",
    queries: "query_position_embeddings.weight",
    class: "class_labels_classifier",
    boxes: "bbox_predictor.layers",
    decoder_norm: "decoder.layernorm",
    layer: hugging_face_layer,
};

pub(super) fn facebook(parts: &[&str]) -> Option<Source> {
    source(parts, &FACEBOOK)
}

pub(super) fn hugging_face(parts: &[&str]) -> Option<Source> {
    source(parts, &HUGGING_FACE)
}

fn source(parts: &[&str], names: &Spelling) -> Option<Source> {
    match *parts {
        ["model", "backbone", ref rest @ ..] => {
            let name = resnet::trunk(rest)?;
            Some(Source::plain(format!("{}.{name}", names.trunk)))
        }
        // A 1x1 convolution, here a linear layer over cells.
        ["model", "input_proj", leaf] => Source::linear(names.projection, leaf),
        ["model", "encoder", "layers", number, ref rest @ ..] => {
            (names.layer)(false, number, encoder(rest)?)
        }
        ["model", "decoder", "layers", number, ref rest @ ..] => {
            (names.layer)(true, number, decoder(rest)?)
        }
        ["model", "decoder", "norm", leaf] => Source::norm(names.decoder_norm, leaf),
        ["objectives", "detection", "query_embed"] => Some(Source::plain(names.queries)),
        [
            "objectives",
            "detection",
            "box_head",
            "layers",
            number,
            leaf,
        ] => Source::linear(format!("{}.{number}", names.boxes), leaf),
        ["objectives", "detection", "heads", _, "class", leaf] => Source::linear(names.class, leaf)
            .map(|source| Source {
                rows: Rows::CocoClasses,
                ..source
            }),
        _ => None,
    }
}

fn facebook_layer(decodes: bool, number: &str, part: Part<'_>) -> Option<Source> {
    let stack = if decodes { "decoder" } else { "encoder" };
    let layer = format!("transformer.{stack}.layers.{number}");
    match part {
        Part::Attention {
            cross,
            projection,
            leaf,
        } => {
            let attention = if cross { "multihead_attn" } else { "self_attn" };
            let part = match projection {
                "query" => 0,
                "key" => 1,
                "value" => 2,
                "output" => return Source::linear(format!("{layer}.{attention}.out_proj"), leaf),
                _ => return None,
            };
            let whole = Source::linear(&layer, leaf)?;
            Some(Source {
                name: format!("{layer}.{attention}.in_proj_{leaf}"),
                rows: Rows::Part { part, of: 3 },
                ..whole
            })
        }
        Part::Norm(which, leaf) => Source::norm(format!("{layer}.norm{which}"), leaf),
        Part::Inner(leaf) => Source::linear(format!("{layer}.linear1"), leaf),
        Part::Outer(leaf) => Source::linear(format!("{layer}.linear2"), leaf),
    }
}

fn hugging_face_layer(decodes: bool, number: &str, part: Part<'_>) -> Option<Source> {
    let stack = if decodes { "decoder" } else { "encoder" };
    let layer = format!("{stack}.layers.{number}");
    match part {
        Part::Attention {
            cross,
            projection,
            leaf,
        } => {
            let attention = if cross { "encoder_attn" } else { "self_attn" };
            let projection = match projection {
                "query" => "q_proj",
                "key" => "k_proj",
                "value" => "v_proj",
                "output" => "out_proj",
                _ => return None,
            };
            Source::linear(format!("{layer}.{attention}.{projection}"), leaf)
        }
        Part::Norm(1, leaf) => Source::norm(format!("{layer}.self_attn_layer_norm"), leaf),
        Part::Norm(2, leaf) if decodes => {
            Source::norm(format!("{layer}.encoder_attn_layer_norm"), leaf)
        }
        Part::Norm(_, leaf) => Source::norm(format!("{layer}.final_layer_norm"), leaf),
        Part::Inner(leaf) => Source::linear(format!("{layer}.fc1"), leaf),
        Part::Outer(leaf) => Source::linear(format!("{layer}.fc2"), leaf),
    }
}

/// Hugging Face's spelling on disk, without `model.`, and with the trunk as torchvision has it.
pub(super) fn canonical(name: &str) -> String {
    let name = name.strip_prefix("detr.").unwrap_or(name);
    let name = name.strip_prefix("model.").unwrap_or(name);
    let Some(trunk) = name.strip_prefix("backbone.") else {
        // Names in memory since version 5.
        return name
            .replace(".o_proj.", ".out_proj.")
            .replace(".mlp.fc", ".fc");
    };
    let trunk = trunk.strip_prefix("conv_encoder.").unwrap_or(trunk);
    let trunk = trunk.strip_prefix("model.").unwrap_or(trunk);
    let trunk = trunk.strip_prefix("_backbone.").unwrap_or(trunk);
    let own = torchvision(trunk);
    format!("backbone.{}", own.as_deref().unwrap_or(trunk))
}

/// torchvision's name of a weight of Hugging Face's own ResNet.
fn torchvision(name: &str) -> Option<String> {
    let (owner, leaf) = name.rsplit_once('.')?;
    let parts: Vec<&str> = owner.split('.').collect();
    let unit = |kind: &str, conv: String, norm: String| match kind {
        "convolution" => Some(conv),
        "normalization" => Some(norm),
        _ => None,
    };
    let owner = match parts[..] {
        ["embedder", "embedder", kind] => unit(kind, "conv1".into(), "bn1".into())?,
        ["encoder", "stages", stage, "layers", block, ref rest @ ..] => {
            let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
            let block = format!("layer{stage}.{block}");
            match *rest {
                ["shortcut", kind] => {
                    let owner = format!("{block}.downsample");
                    unit(kind, format!("{owner}.0"), format!("{owner}.1"))?
                }
                ["layer", layer, kind] => {
                    let layer = layer.parse::<usize>().ok()?.checked_add(1)?;
                    let conv = format!("{block}.conv{layer}");
                    unit(kind, conv, format!("{block}.bn{layer}"))?
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(format!("{owner}.{leaf}"))
}
