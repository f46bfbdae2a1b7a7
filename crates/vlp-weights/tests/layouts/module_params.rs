//! Paths and shapes of the parameters of the pre-training modules.

pub(crate) type Parameters = Vec<(String, Vec<usize>)>;

fn push(params: &mut Parameters, path: impl Into<String>, shape: &[usize]) {
    params.push((path.into(), shape.to_vec()));
}

fn linear(params: &mut Parameters, path: &str, input: usize, output: usize) {
    push(params, format!("{path}.weight"), &[input, output]);
    push(params, format!("{path}.bias"), &[output]);
}

fn norm(params: &mut Parameters, path: &str, width: usize) {
    push(params, format!("{path}.gamma"), &[width]);
    push(params, format!("{path}.beta"), &[width]);
}

fn conv_norm(params: &mut Parameters, path: &str, shape: [usize; 4]) {
    push(params, format!("{path}.conv.weight"), &shape);
    norm(params, &format!("{path}.norm"), shape[0]);
    push(params, format!("{path}.norm.running_mean"), &[shape[0]]);
    push(params, format!("{path}.norm.running_var"), &[shape[0]]);
}

/// The backbone of this depth, and the channels of its last feature map.
pub(crate) fn backbone(depth: usize) -> (Parameters, usize) {
    let (blocks, bottleneck) = match depth {
        18 => ([2, 2, 2, 2], false),
        34 => ([3, 4, 6, 3], false),
        50 => ([3, 4, 6, 3], true),
        101 => ([3, 4, 23, 3], true),
        _ => ([3, 8, 36, 3], true),
    };
    let mut params = vec![];
    conv_norm(&mut params, "model.backbone.stem", [64, 3, 7, 7]);
    let mut input = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let planes = 64 << stage;
        let output = if bottleneck { 4 * planes } else { planes };
        for block in 0..count {
            let module = format!("model.backbone.stages.{stage}.{block}");
            let layers = if bottleneck {
                vec![
                    [planes, input, 1, 1],
                    [planes, planes, 3, 3],
                    [output, planes, 1, 1],
                ]
            } else {
                vec![[planes, input, 3, 3], [planes, planes, 3, 3]]
            };
            for (i, shape) in layers.into_iter().enumerate() {
                conv_norm(&mut params, &format!("{module}.layers.{i}"), shape);
            }
            if block == 0 && (stage > 0 || input != output) {
                conv_norm(
                    &mut params,
                    &format!("{module}.downsample"),
                    [output, input, 1, 1],
                );
            }
            input = output;
        }
    }
    (params, input)
}

/// Text embedding and encoder.
pub(crate) fn text(
    d: usize,
    d_ff: usize,
    layers: usize,
    vocab: usize,
    max_positions: usize,
) -> Parameters {
    let mut params = vec![];
    push(&mut params, "model.words.word.weight", &[vocab, d]);
    push(
        &mut params,
        "model.words.position.weight",
        &[max_positions, d],
    );
    push(&mut params, "model.words.token_type.weight", &[2, d]);
    norm(&mut params, "model.words.norm", d);
    for layer in 0..layers {
        let module = format!("model.encoder.layers.{layer}");
        attention(&mut params, &format!("{module}.attention"), d);
        rest_of_layer(&mut params, &module, d, d_ff, 2);
    }
    params
}

fn attention(params: &mut Parameters, module: &str, d: usize) {
    for projection in ["query", "key", "value", "output"] {
        linear(params, &format!("{module}.{projection}"), d, d);
    }
}

fn rest_of_layer(params: &mut Parameters, module: &str, d: usize, d_ff: usize, norms: usize) {
    linear(params, &format!("{module}.feed_forward.inner"), d, d_ff);
    linear(params, &format!("{module}.feed_forward.outer"), d_ff, d);
    for number in 1..=norms {
        norm(params, &format!("{module}.norm{number}"), d);
    }
}

/// Decoder and detection head; `classes` includes no-object.
pub(crate) fn detection(d: usize, d_ff: usize, layers: usize, classes: usize) -> Parameters {
    let mut params = vec![];
    for layer in 0..layers {
        let module = format!("model.decoder.layers.{layer}");
        attention(&mut params, &format!("{module}.self_attention"), d);
        attention(&mut params, &format!("{module}.cross_attention"), d);
        rest_of_layer(&mut params, &module, d, d_ff, 3);
    }
    norm(&mut params, "model.decoder.norm", d);
    push(&mut params, "objectives.detection.query_embed", &[100, d]);
    linear(
        &mut params,
        "objectives.detection.heads.0.class",
        d,
        classes,
    );
    for (number, output) in [d, d, 4].into_iter().enumerate() {
        let path = format!("objectives.detection.box_head.layers.{number}");
        linear(&mut params, &path, d, output);
    }
    params
}

/// BERT's masked language modeling head.
pub(crate) fn mlm(d: usize, vocab: usize) -> Parameters {
    let mut params = vec![];
    linear(&mut params, "objectives.mlm.transform", d, d);
    norm(&mut params, "objectives.mlm.norm", d);
    push(&mut params, "objectives.mlm.bias", &[vocab]);
    params
}

/// E2E-VLP's projection, and its parameters that no published checkpoint has.
pub(crate) fn e2e(channels: usize, d: usize, vocab: usize) -> (Parameters, Parameters) {
    let (mut released, mut not_released) = (vec![], vec![]);
    linear(&mut released, "model.input_proj", channels, d);
    push(&mut not_released, "model.modality", &[d]);
    push(&mut not_released, "objectives.caption.bias", &[vocab]);
    linear(&mut not_released, "objectives.itm.head", d, 2);
    linear(
        &mut not_released,
        "objectives.detection.heads.0.attribute",
        d,
        400,
    );
    (released, not_released)
}

/// SOHO's neck and head, and the parameters that its released checkpoint lacks.
pub(crate) fn soho(channels: usize, d: usize, codes: usize) -> (Parameters, Parameters) {
    let (mut released, mut not_released) = (vec![], vec![]);
    conv_norm(&mut released, "model.input_proj", [d, channels, 1, 1]);
    norm(&mut released, "model.norm", d);
    conv_norm(&mut released, "model.quantizer.gate", [2, 2 * d, 1, 1]);
    linear(&mut released, "model.quantizer.linear", d, d);
    push(&mut released, "model.quantizer.mask", &[d]);
    let table = "model.quantizer.dictionary";
    push(&mut released, format!("{table}.running_codes"), &[codes, d]);
    push(&mut released, format!("{table}.running_counts"), &[codes]);
    push(&mut released, format!("{table}.running_sums"), &[codes, d]);
    push(&mut released, "objectives.itm.head.weight", &[d, 2]);
    push(&mut not_released, "objectives.itm.head.bias", &[2]);
    push(
        &mut not_released,
        format!("{table}.running_usage"),
        &[codes],
    );
    push(&mut not_released, format!("{table}.running_totals"), &[2]);
    (released, not_released)
}
