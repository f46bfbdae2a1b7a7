//! Names of torchvision's ResNet, which the other layouts use with a prefix.

use super::TensorSource;

/// torchvision's name of a backbone parameter; `parts` is its path within the backbone.
pub(super) fn backbone(parts: &[&str]) -> Option<String> {
    let (conv, norm, unit, field) = match *parts {
        ["stem", unit, field] => ("conv1".to_owned(), "bn1".to_owned(), unit, field),
        ["stages", stage, block, "layers", layer, unit, field] => {
            let (stage, layer) = (number_from_1(stage)?, number_from_1(layer)?);
            let block = format!("layer{stage}.{block}");
            let conv = format!("{block}.conv{layer}");
            (conv, format!("{block}.bn{layer}"), unit, field)
        }
        ["stages", stage, block, "downsample", unit, field] => {
            let shortcut = format!("layer{}.{block}.downsample", number_from_1(stage)?);
            (
                format!("{shortcut}.0"),
                format!("{shortcut}.1"),
                unit,
                field,
            )
        }
        _ => return None,
    };
    match (unit, field) {
        ("conv", "weight") => Some(format!("{conv}.weight")),
        ("norm", field) => batch_norm(&norm, field),
        _ => None,
    }
}

/// PyTorch's name of a parameter or buffer of the batch norm `module`.
pub(super) fn batch_norm(module: &str, field: &str) -> Option<String> {
    let field = match field {
        "gamma" => "weight",
        "beta" => "bias",
        "running_mean" | "running_var" => field,
        _ => return None,
    };
    Some(format!("{module}.{field}"))
}

/// torchvision numbers stages and the layers of a block from 1.
fn number_from_1(number: &str) -> Option<usize> {
    number.parse::<usize>().ok()?.checked_add(1)
}

pub(super) fn source(parts: &[&str]) -> Option<TensorSource> {
    match parts {
        ["model", "backbone", rest @ ..] => backbone(rest).map(TensorSource::plain),
        _ => None,
    }
}
