//! Names of Hugging Face's BERT.

use super::layer::{Part, encoder};
use super::{Rows, Source};

pub(super) fn source(parts: &[&str]) -> Option<Source> {
    match *parts {
        ["objectives", "mlm", "bias"] => Some(Source::plain("cls.predictions.bias")),
        ["objectives", "mlm", "transform", leaf] => {
            Source::linear("cls.predictions.transform.dense", leaf)
        }
        ["objectives", "mlm", "norm", leaf] => {
            Source::norm("cls.predictions.transform.LayerNorm", leaf)
        }
        ["model", ref rest @ ..] => body(rest),
        _ => None,
    }
}

/// Embedding and encoder, `parts` being the path within the model.
pub(super) fn body(parts: &[&str]) -> Option<Source> {
    match *parts {
        ["words", "word", "weight"] => Some(Source::plain("embeddings.word_embeddings.weight")),
        ["words", "position", "weight"] => Some(Source {
            rows: Rows::Leading,
            ..Source::plain("embeddings.position_embeddings.weight")
        }),
        ["words", "token_type", "weight"] => {
            Some(Source::plain("embeddings.token_type_embeddings.weight"))
        }
        ["words", "norm", leaf] => Source::norm("embeddings.LayerNorm", leaf),
        ["encoder", "layers", number, ref rest @ ..] => {
            let layer = format!("encoder.layer.{number}");
            match encoder(rest)? {
                Part::Attention {
                    projection: "output",
                    leaf,
                    ..
                } => Source::linear(format!("{layer}.attention.output.dense"), leaf),
                Part::Attention {
                    projection: projection @ ("query" | "key" | "value"),
                    leaf,
                    ..
                } => Source::linear(format!("{layer}.attention.self.{projection}"), leaf),
                Part::Attention { .. } => None,
                Part::Inner(leaf) => Source::linear(format!("{layer}.intermediate.dense"), leaf),
                Part::Outer(leaf) => Source::linear(format!("{layer}.output.dense"), leaf),
                Part::Norm(1, leaf) => {
                    Source::norm(format!("{layer}.attention.output.LayerNorm"), leaf)
                }
                Part::Norm(_, leaf) => Source::norm(format!("{layer}.output.LayerNorm"), leaf),
            }
        }
        _ => None,
    }
}

pub(super) fn canonical(name: &str) -> String {
    let name = name.strip_prefix("bert.").unwrap_or(name);
    // The first releases, converted from TensorFlow.
    let spellings = [("gamma", "weight"), ("beta", "bias")];
    for (old, new) in spellings {
        if let Some(owner) = name.strip_suffix(old)
            && owner.ends_with("LayerNorm.")
        {
            return format!("{owner}{new}");
        }
    }
    name.to_owned()
}

pub(super) fn unused(canonical: &str) -> Option<&'static str> {
    match canonical {
        "embeddings.position_ids" | "embeddings.token_type_ids" => Some("a constant, not a weight"),
        "cls.predictions.decoder.weight" | "cls.predictions.decoder.bias" => {
            Some("tied to another tensor of the file")
        }
        _ if canonical.starts_with("cls.seq_relationship.") => {
            Some("the head of next-sentence prediction")
        }
        _ if canonical.starts_with("pooler.") => {
            Some("the pooler: heads read the first state itself")
        }
        _ => None,
    }
}
