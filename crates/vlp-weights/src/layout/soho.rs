//! Names of the checkpoint that SOHO's authors released.

use super::{TensorSource, bert, resnet};

pub(super) fn source(parts: &[&str]) -> Option<TensorSource> {
    let plain = |name: &str| Some(TensorSource::plain(name));
    match *parts {
        ["objectives", "itm", "head", "weight"] => {
            TensorSource::linear("head.match_class", "weight")
        }
        ["model", "backbone", ref rest @ ..] => {
            let name = resnet::backbone(rest)?;
            Some(TensorSource::plain(format!("backbone.{name}")))
        }
        ["model", "input_proj", unit, field] => conv_norm("neck.conv", unit, field),
        ["model", "norm", field] => TensorSource::norm("neck.ln", field),
        ["model", "quantizer", ref rest @ ..] => match *rest {
            ["mask"] => plain("neck.mask_emb.weight"),
            ["gate", unit, field] => conv_norm("neck.gate_fc", unit, field),
            ["linear", field] => TensorSource::linear("neck.pos_line", field),
            ["dictionary", "running_codes"] => plain("neck.vq.embed"),
            ["dictionary", "running_counts"] => plain("neck.vq.cluster_size"),
            ["dictionary", "running_sums"] => plain("neck.vq.embed_avg"),
            _ => None,
        },
        ["model", ref rest @ ..] => {
            let source = bert::body(rest)?;
            Some(TensorSource {
                name: format!("language.bert.{}", source.name),
                ..source
            })
        }
        _ => None,
    }
}

/// A convolution `module` with a batch norm.
fn conv_norm(module: &str, unit: &str, field: &str) -> Option<TensorSource> {
    let name = match (unit, field) {
        ("conv", "weight") => format!("{module}.conv.weight"),
        ("norm", field) => resnet::batch_norm(&format!("{module}.bn"), field)?,
        _ => return None,
    };
    Some(TensorSource::plain(name))
}

pub(super) fn unused_reason(canonical: &str) -> Option<&'static str> {
    let bert_name = canonical.strip_prefix("language.bert.");
    match canonical {
        "neck.vq.cluster_sum" => Some("a usage count that does not affect outputs"),
        "mask_l_fc.weight" => Some("tied to another tensor of the file"),
        _ if canonical.starts_with("backbone.fc.") => Some("the ImageNet classifier"),
        _ => bert_name.and_then(bert::unused_reason),
    }
}
