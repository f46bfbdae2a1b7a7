//! Paths of all parameters of the pre-training modules, with 0 for the number of each layer and block.

const NORM: [&str; 2] = ["gamma", "beta"];
const LINEAR: [&str; 2] = ["weight", "bias"];
const CONV_NORM: [&str; 5] = [
    "conv.weight",
    "norm.gamma",
    "norm.beta",
    "norm.running_mean",
    "norm.running_var",
];

pub(super) fn parameter_paths() -> Vec<String> {
    let mut paths = Vec::new();
    let mut add = |modules: &[&str], fields: &[&str]| {
        for module in modules {
            paths.extend(fields.iter().map(|field| format!("{module}.{field}")));
        }
    };
    add(
        &[
            "model.backbone.stem",
            "model.backbone.stages.0.0.layers.0",
            "model.backbone.stages.0.0.downsample",
            "model.input_proj",
            "model.quantizer.gate",
        ],
        &CONV_NORM,
    );
    add(
        &[
            "model.input_proj",
            "model.quantizer.linear",
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
        &["model.quantizer.dictionary"],
        &["running_codes", "running_counts", "running_sums"],
    );
    add(&["model.quantizer"], &["mask"]);
    add(&["objectives.mlm"], &["bias"]);
    add(&["objectives.detection"], &["query_embed"]);
    paths
}

/// The name with `#` in place of every number.
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
