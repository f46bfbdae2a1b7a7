//! Names of the checkpoint that SOHO's authors released.

use super::{Source, bert, resnet};

pub(super) fn source(parts: &[&str]) -> Option<Source> {
    let plain = |name: &str| Some(Source::plain(name));
    match *parts {
        ["objectives", "itm", "head", "weight"] => Source::linear("head.match_class", "weight"),
        ["model", "backbone", ref rest @ ..] => {
            let name = resnet::trunk(rest)?;
            Some(Source::plain(format!("backbone.{name}")))
        }
        ["model", "input_proj", unit, leaf] => unit_of("neck.conv", unit, leaf),
        ["model", "norm", leaf] => Source::norm("neck.ln", leaf),
        ["model", "quantiser", ref rest @ ..] => match *rest {
            ["mask"] => plain("neck.mask_emb.weight"),
            ["gate", unit, leaf] => unit_of("neck.gate_fc", unit, leaf),
            ["linear", leaf] => Source::linear("neck.pos_line", leaf),
            ["dictionary", "running_codes"] => plain("neck.vq.embed"),
            ["dictionary", "running_counts"] => plain("neck.vq.cluster_size"),
            ["dictionary", "running_sums"] => plain("neck.vq.embed_avg"),
            _ => None,
        },
        ["model", ref rest @ ..] => {
            let source = bert::body(rest)?;
            Some(Source {
                name: format!("language.bert.{}", source.name),
                ..source
            })
        }
        _ => None,
    }
}

/// A convolution with its norm.
fn unit_of(owner: &str, unit: &str, leaf: &str) -> Option<Source> {
    let name = match (unit, leaf) {
        ("conv", "weight") => format!("{owner}.conv.weight"),
        ("norm", leaf) => resnet::batch_norm(&format!("{owner}.bn"), leaf)?,
        _ => return None,
    };
    Some(Source::plain(name))
}

pub(super) fn unused(canonical: &str) -> Option<&'static str> {
    let part = canonical.strip_prefix("language.bert.");
    match canonical {
        "neck.vq.cluster_sum" => Some("a count of uses that no output depends on"),
        "mask_l_fc.weight" => Some("tied to another tensor of the file"),
        _ if canonical.starts_with("backbone.fc.") => Some("the classifier of ImageNet"),
        _ => part.and_then(bert::unused),
    }
}
