//! Names of DETR, those of its authors and those of Hugging Face.

use super::layer::{LayerParam, decoder_param, encoder_param};
use super::{Rows, TensorSource, resnet};

/// Prefixes of the backbone, the heads and the layers.
struct Prefixes {
    backbone: &'static str,
    projection: &'static str,
    queries: &'static str,
    class: &'static str,
    boxes: &'static str,
    decoder_norm: &'static str,
    layer: fn(bool, &str, LayerParam<'_>) -> Option<TensorSource>,
}

const FACEBOOK: Prefixes = Prefixes {
    backbone: "backbone.0.body",
    projection: "input_proj",
    queries: "query_embed.weight",
    class: "class_embed",
    boxes: "bbox_embed.layers",
    decoder_norm: "transformer.decoder.norm",
    layer: facebook_layer,
};

const HUGGING_FACE: Prefixes = Prefixes {
    backbone: "backbone",
    projection: "input_projection",
    queries: "query_position_embeddings.weight",
    class: "class_labels_classifier",
    boxes: "bbox_predictor.layers",
    decoder_norm: "decoder.layernorm",
    layer: hugging_face_layer,
};

pub(super) fn facebook(parts: &[&str]) -> Option<TensorSource> {
    source(parts, &FACEBOOK)
}

pub(super) fn hugging_face(parts: &[&str]) -> Option<TensorSource> {
    source(parts, &HUGGING_FACE)
}

fn source(parts: &[&str], prefixes: &Prefixes) -> Option<TensorSource> {
    match *parts {
        ["model", "backbone", ref rest @ ..] => {
            let name = resnet::backbone(rest)?;
            Some(TensorSource::plain(format!("{}.{name}", prefixes.backbone)))
        }
        // A 1x1 convolution in DETR, a linear layer here.
        ["model", "input_proj", field] => TensorSource::linear(prefixes.projection, field),
        ["model", "encoder", "layers", number, ref rest @ ..] => {
            (prefixes.layer)(false, number, encoder_param(rest)?)
        }
        ["model", "decoder", "layers", number, ref rest @ ..] => {
            (prefixes.layer)(true, number, decoder_param(rest)?)
        }
        ["model", "decoder", "norm", field] => TensorSource::norm(prefixes.decoder_norm, field),
        ["objectives", "detection", "query_embed"] => Some(TensorSource::plain(prefixes.queries)),
        [
            "objectives",
            "detection",
            "box_head",
            "layers",
            number,
            field,
        ] => TensorSource::linear(format!("{}.{number}", prefixes.boxes), field),
        ["objectives", "detection", "heads", _, "class", field] => {
            TensorSource::linear(prefixes.class, field).map(|source| TensorSource {
                rows: Rows::CocoClasses,
                ..source
            })
        }
        _ => None,
    }
}

fn facebook_layer(is_decoder: bool, number: &str, param: LayerParam<'_>) -> Option<TensorSource> {
    let stack = if is_decoder { "decoder" } else { "encoder" };
    let layer = format!("transformer.{stack}.layers.{number}");
    match param {
        LayerParam::Attention {
            cross,
            projection,
            field,
        } => {
            let attention = if cross { "multihead_attn" } else { "self_attn" };
            let index = match projection {
                "query" => 0,
                "key" => 1,
                "value" => 2,
                "output" => {
                    return TensorSource::linear(format!("{layer}.{attention}.out_proj"), field);
                }
                _ => return None,
            };
            let joint = TensorSource::linear(&layer, field)?;
            Some(TensorSource {
                name: format!("{layer}.{attention}.in_proj_{field}"),
                rows: Rows::Chunk { index, count: 3 },
                ..joint
            })
        }
        LayerParam::Norm(norm, field) => TensorSource::norm(format!("{layer}.norm{norm}"), field),
        LayerParam::FeedForward1(field) => TensorSource::linear(format!("{layer}.linear1"), field),
        LayerParam::FeedForward2(field) => TensorSource::linear(format!("{layer}.linear2"), field),
    }
}

fn hugging_face_layer(
    is_decoder: bool,
    number: &str,
    param: LayerParam<'_>,
) -> Option<TensorSource> {
    let stack = if is_decoder { "decoder" } else { "encoder" };
    let layer = format!("{stack}.layers.{number}");
    match param {
        LayerParam::Attention {
            cross,
            projection,
            field,
        } => {
            let attention = if cross { "encoder_attn" } else { "self_attn" };
            let projection = match projection {
                "query" => "q_proj",
                "key" => "k_proj",
                "value" => "v_proj",
                "output" => "out_proj",
                _ => return None,
            };
            TensorSource::linear(format!("{layer}.{attention}.{projection}"), field)
        }
        LayerParam::Norm(1, field) => {
            TensorSource::norm(format!("{layer}.self_attn_layer_norm"), field)
        }
        LayerParam::Norm(2, field) if is_decoder => {
            TensorSource::norm(format!("{layer}.encoder_attn_layer_norm"), field)
        }
        LayerParam::Norm(_, field) => {
            TensorSource::norm(format!("{layer}.final_layer_norm"), field)
        }
        LayerParam::FeedForward1(field) => TensorSource::linear(format!("{layer}.fc1"), field),
        LayerParam::FeedForward2(field) => TensorSource::linear(format!("{layer}.fc2"), field),
    }
}

/// The name that Hugging Face saves, without `model.`, and with torchvision's names in the backbone.
pub(super) fn canonical_name(name: &str) -> String {
    let name = name.strip_prefix("detr.").unwrap_or(name);
    let name = name.strip_prefix("model.").unwrap_or(name);
    let Some(backbone) = name.strip_prefix("backbone.") else {
        // Names since version 5 of transformers.
        return name
            .replace(".o_proj.", ".out_proj.")
            .replace(".mlp.fc", ".fc");
    };
    let backbone = backbone.strip_prefix("conv_encoder.").unwrap_or(backbone);
    let backbone = backbone.strip_prefix("model.").unwrap_or(backbone);
    let backbone = backbone.strip_prefix("_backbone.").unwrap_or(backbone);
    let name = torchvision_name(backbone);
    format!("backbone.{}", name.as_deref().unwrap_or(backbone))
}

/// torchvision's name of a tensor of Hugging Face's ResNet.
fn torchvision_name(name: &str) -> Option<String> {
    let (module, field) = name.rsplit_once('.')?;
    let parts: Vec<&str> = module.split('.').collect();
    let conv_or_norm = |kind: &str, conv: String, norm: String| match kind {
        "convolution" => Some(conv),
        "normalization" => Some(norm),
        _ => None,
    };
    let module = match parts[..] {
        ["embedder", "embedder", kind] => conv_or_norm(kind, "conv1".into(), "bn1".into())?,
        ["encoder", "stages", stage, "layers", block, ref rest @ ..] => {
            let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
            let block = format!("layer{stage}.{block}");
            match *rest {
                ["shortcut", kind] => {
                    let shortcut = format!("{block}.downsample");
                    conv_or_norm(kind, format!("{shortcut}.0"), format!("{shortcut}.1"))?
                }
                ["layer", layer, kind] => {
                    let layer = layer.parse::<usize>().ok()?.checked_add(1)?;
                    let conv = format!("{block}.conv{layer}");
                    conv_or_norm(kind, conv, format!("{block}.bn{layer}"))?
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(format!("{module}.{field}"))
}
