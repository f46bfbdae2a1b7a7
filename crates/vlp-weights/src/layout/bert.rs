//! Names of Hugging Face's BERT.

use super::layer::{LayerParam, encoder_param};
use super::{Rows, TensorSource};

pub(super) fn source(parts: &[&str]) -> Option<TensorSource> {
    match *parts {
        ["objectives", "mlm", "bias"] => Some(TensorSource::plain("cls.predictions.bias")),
        ["objectives", "mlm", "transform", field] => {
            TensorSource::linear("cls.predictions.transform.dense", field)
        }
        ["objectives", "mlm", "norm", field] => {
            TensorSource::norm("cls.predictions.transform.LayerNorm", field)
        }
        ["model", ref rest @ ..] => body(rest),
        _ => None,
    }
}

/// A parameter of the embedding or encoder; `parts` is its path within the model.
pub(super) fn body(parts: &[&str]) -> Option<TensorSource> {
    match *parts {
        ["words", "word", "weight"] => {
            Some(TensorSource::plain("embeddings.word_embeddings.weight"))
        }
        ["words", "position", "weight"] => Some(TensorSource {
            rows: Rows::Leading,
            ..TensorSource::plain("embeddings.position_embeddings.weight")
        }),
        ["words", "token_type", "weight"] => Some(TensorSource::plain(
            "embeddings.token_type_embeddings.weight",
        )),
        ["words", "norm", field] => TensorSource::norm("embeddings.LayerNorm", field),
        ["encoder", "layers", number, ref rest @ ..] => {
            let layer = format!("encoder.layer.{number}");
            match encoder_param(rest)? {
                LayerParam::Attention {
                    projection: "output",
                    field,
                    ..
                } => TensorSource::linear(format!("{layer}.attention.output.dense"), field),
                LayerParam::Attention {
                    projection: projection @ ("query" | "key" | "value"),
                    field,
                    ..
                } => TensorSource::linear(format!("{layer}.attention.self.{projection}"), field),
                LayerParam::Attention { .. } => None,
                LayerParam::FeedForward1(field) => {
                    TensorSource::linear(format!("{layer}.intermediate.dense"), field)
                }
                LayerParam::FeedForward2(field) => {
                    TensorSource::linear(format!("{layer}.output.dense"), field)
                }
                LayerParam::Norm(1, field) => {
                    TensorSource::norm(format!("{layer}.attention.output.LayerNorm"), field)
                }
                LayerParam::Norm(_, field) => {
                    TensorSource::norm(format!("{layer}.output.LayerNorm"), field)
                }
            }
        }
        _ => None,
    }
}

pub(super) fn canonical_name(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    // Early releases, converted from TensorFlow.
    let spellings = [("gamma", "weight"), ("beta", "bias")];
    for (old, new) in spellings {
        if let Some(module) = name.strip_suffix(old)
            && module.ends_with("LayerNorm.")
        {
            return format!("{module}{new}");
        }
    }
    name.to_owned()
}

pub(super) fn unused_reason(canonical: &str) -> Option<&'static str> {
    match canonical {
        "embeddings.position_ids" | "embeddings.token_type_ids" => Some("a constant, not a weight"),
        "cls.predictions.decoder.weight" | "cls.predictions.decoder.bias" => {
            Some("tied to another tensor of the file")
        }
        _ if canonical.starts_with("cls.seq_relationship.") => {
            Some("the next-sentence prediction head")
        }
        _ if canonical.starts_with("pooler.") => {
            Some("the pooler: heads read the first state directly")
        }
        _ => None,
    }
}
