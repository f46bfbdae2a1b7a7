//! Names of torchvision's ResNet, which every other convention has under a prefix.

use super::Source;

/// Name of a parameter of the trunk, `parts` being its path within it.
pub(super) fn trunk(parts: &[&str]) -> Option<String> {
    let (conv, norm, unit, leaf) = match *parts {
        ["stem", unit, leaf] => ("conv1".to_owned(), "bn1".to_owned(), unit, leaf),
        ["stages", stage, block, "layers", layer, unit, leaf] => {
            let (stage, layer) = (after(stage)?, after(layer)?);
            let owner = format!("layer{stage}.{block}");
            let conv = format!("{owner}.conv{layer}");
            (conv, format!("{owner}.bn{layer}"), unit, leaf)
        }
        ["stages", stage, block, "downsample", unit, leaf] => {
            let owner = format!("layer{}.{block}.downsample", after(stage)?);
            (format!("{owner}.0"), format!("{owner}.1"), unit, leaf)
        }
        _ => return None,
    };
    match (unit, leaf) {
        ("conv", "weight") => Some(format!("{conv}.weight")),
        ("norm", leaf) => batch_norm(&norm, leaf),
        _ => None,
    }
}

/// Name of a batch norm's parameter.
pub(super) fn batch_norm(owner: &str, leaf: &str) -> Option<String> {
    let leaf = match leaf {
        "gamma" => "weight",
        "beta" => "bias",
        "running_mean" | "running_var" => leaf,
        _ => return None,
    };
    Some(format!("{owner}.{leaf}"))
}

/// PyTorch counts stages and layers of a block from 1.
fn after(number: &str) -> Option<usize> {
    number.parse::<usize>().ok()?.checked_add(1)
}

pub(super) fn source(parts: &[&str]) -> Option<Source> {
    match parts {
        ["model", "backbone", rest @ ..] => trunk(rest).map(Source::plain),
        _ => None,
    }
}
