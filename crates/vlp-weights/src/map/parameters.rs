//! One path of every kind of parameter that a pre-training module has, layers and blocks numbered 0.

const NORM: [&str; 2] = ["gamma", "beta"];
const LINEAR: [&str; 2] = ["weight", "bias"];
const CONV_NORM: [&str; 5] = [
    "conv.weight",
    "norm.gamma",
    "norm.beta",
    "norm.running_mean",
    "norm.running_var",
];

/// Paths, with numbers that stand for any.
pub(super) fn every_kind() -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |owners: &[&str], leaves: &[&str]| {
        for owner in owners {
            all.extend(leaves.iter().map(|leaf| format!("{owner}.{leaf}")));
        }
    };
    add(
        &[
            "model.backbone.stem",
            "model.backbone.stages.0.0.layers.0",
            "model.backbone.stages.0.0.downsample",
            "model.input_proj",
            "model.quantiser.gate",
        ],
        &CONV_NORM,
    );
    add(
        &[
            "model.input_proj",
            "model.quantiser.linear",
            "objectives.itm.head",
            "objectives.mlm.transform",
            "objectives.detection.box_head.layers.0",
            "objectives.detection.heads.0.class",
        ],
        &LINEAR,
    );
    for attention in [
        "encoder.layers.0.attention",
        "decoder.layers.0.self_attention",
        "decoder.layers.0.cross_attention",
    ] {
        for projection in ["query", "key", "value", "output"] {
            add(&[&format!("model.{attention}.{projection}")], &LINEAR);
        }
    }
    for (stack, norms) in [("encoder", 2), ("decoder", 3)] {
        let layer = format!("model.{stack}.layers.0");
        for linear in ["inner", "outer"] {
            add(&[&format!("{layer}.feed_forward.{linear}")], &LINEAR);
        }
        for norm in 1..=norms {
            add(&[&format!("{layer}.norm{norm}")], &NORM);
        }
    }
    add(
        &[
            "model.decoder.norm",
            "model.norm",
            "model.words.norm",
            "objectives.mlm.norm",
        ],
        &NORM,
    );
    add(
        &[
            "model.words.word",
            "model.words.position",
            "model.words.token_type",
        ],
        &["weight"],
    );
    add(
        &["model.quantiser.dictionary"],
        &["running_codes", "running_counts", "running_sums"],
    );
    add(&["model.quantiser"], &["mask"]);
    add(&["objectives.mlm"], &["bias"]);
    add(&["objectives.detection"], &["query_embed"]);
    all
}

/// A name with every number replaced by `#`.
pub(super) fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if !character.is_ascii_digit() {
            pattern.push(character);
        } else if !pattern.ends_with('#') {
            pattern.push('#');
        }
    }
    pattern
}
