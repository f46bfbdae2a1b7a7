//! Parameters of the pre-training modules with their shapes, as burn lists them.

pub(crate) type Parameters = Vec<(String, Vec<usize>)>;

fn put(all: &mut Parameters, path: impl Into<String>, shape: &[usize]) {
    all.push((path.into(), shape.to_vec()));
}

fn linear(all: &mut Parameters, path: &str, input: usize, output: usize) {
    put(all, format!("{path}.weight"), &[input, output]);
    put(all, format!("{path}.bias"), &[output]);
}

fn norm(all: &mut Parameters, path: &str, width: usize) {
    put(all, format!("{path}.gamma"), &[width]);
    put(all, format!("{path}.beta"), &[width]);
}

fn conv_norm(all: &mut Parameters, path: &str, shape: [usize; 4]) {
    put(all, format!("{path}.conv.weight"), &shape);
    norm(all, &format!("{path}.norm"), shape[0]);
    put(all, format!("{path}.norm.running_mean"), &[shape[0]]);
    put(all, format!("{path}.norm.running_var"), &[shape[0]]);
}

/// The trunk of this depth, and the channels of its last map.
pub(crate) fn trunk(depth: usize) -> (Parameters, usize) {
    let (blocks, bottleneck) = match depth {
        18 => ([2, 2, 2, 2], false),
        34 => ([3, 4, 6, 3], false),
        50 => ([3, 4, 6, 3], true),
        101 => ([3, 4, 23, 3], true),
        _ => ([3, 8, 36, 3], true),
    };
    let mut all = vec![];
    conv_norm(&mut all, "model.backbone.stem", [64, 3, 7, 7]);
    let mut input = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let planes = 64 << stage;
        let output = if bottleneck { 4 * planes } else { planes };
        for block in 0..count {
            let owner = format!("model.backbone.stages.{stage}.{block}");
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
                conv_norm(&mut all, &format!("{owner}.layers.{i}"), shape);
            }
            if block == 0 && (stage > 0 || input != output) {
                conv_norm(
                    &mut all,
                    &format!("{owner}.downsample"),
                    [output, input, 1, 1],
                );
            }
            input = output;
        }
    }
    (all, input)
}

/// Embedding and encoder, `rows` being the length of the position table.
pub(crate) fn text(d: usize, ffn: usize, layers: usize, vocab: usize, rows: usize) -> Parameters {
    let mut all = vec![];
    put(&mut all, "model.words.word.weight", &[vocab, d]);
    put(&mut all, "model.words.position.weight", &[rows, d]);
    put(&mut all, "model.words.token_type.weight", &[2, d]);
    norm(&mut all, "model.words.norm", d);
    for layer in 0..layers {
        let owner = format!("model.encoder.layers.{layer}");
        attention(&mut all, &format!("{owner}.attention"), d);
        rest_of_layer(&mut all, &owner, d, ffn, 2);
    }
    all
}

fn attention(all: &mut Parameters, owner: &str, d: usize) {
    for projection in ["query", "key", "value", "output"] {
        linear(all, &format!("{owner}.{projection}"), d, d);
    }
}

fn rest_of_layer(all: &mut Parameters, owner: &str, d: usize, ffn: usize, norms: usize) {
    linear(all, &format!("{owner}.feed_forward.inner"), d, ffn);
    linear(all, &format!("{owner}.feed_forward.outer"), ffn, d);
    for number in 1..=norms {
        norm(all, &format!("{owner}.norm{number}"), d);
    }
}

/// Decoder and detection head, for `classes` with no-object.
pub(crate) fn detection(d: usize, ffn: usize, layers: usize, classes: usize) -> Parameters {
    let mut all = vec![];
    for layer in 0..layers {
        let owner = format!("model.decoder.layers.{layer}");
        attention(&mut all, &format!("{owner}.self_attention"), d);
        attention(&mut all, &format!("{owner}.cross_attention"), d);
        rest_of_layer(&mut all, &owner, d, ffn, 3);
    }
    norm(&mut all, "model.decoder.norm", d);
    put(&mut all, "objectives.detection.query_embed", &[100, d]);
    linear(&mut all, "objectives.detection.heads.0.class", d, classes);
    for (number, output) in [d, d, 4].into_iter().enumerate() {
        let path = format!("objectives.detection.box_head.layers.{number}");
        linear(&mut all, &path, d, output);
    }
    all
}

/// BERT's head of masked language modelling.
pub(crate) fn mlm(d: usize, vocab: usize) -> Parameters {
    let mut all = vec![];
    linear(&mut all, "objectives.mlm.transform", d, d);
    norm(&mut all, "objectives.mlm.norm", d);
    put(&mut all, "objectives.mlm.bias", &[vocab]);
    all
}

/// E2E-VLP's projection and what no checkpoint of others has.
pub(crate) fn e2e(channels: usize, d: usize, vocab: usize) -> (Parameters, Parameters) {
    let (mut shared, mut own) = (vec![], vec![]);
    linear(&mut shared, "model.input_proj", channels, d);
    put(&mut own, "model.modality", &[d]);
    put(&mut own, "objectives.caption.bias", &[vocab]);
    linear(&mut own, "objectives.itm.head", d, 2);
    linear(&mut own, "objectives.detection.heads.0.attribute", d, 400);
    (shared, own)
}

/// SOHO's neck and head, and what its released checkpoint lacks.
pub(crate) fn soho(channels: usize, d: usize, codes: usize) -> (Parameters, Parameters) {
    let (mut shared, mut own) = (vec![], vec![]);
    conv_norm(&mut shared, "model.input_proj", [d, channels, 1, 1]);
    norm(&mut shared, "model.norm", d);
    conv_norm(&mut shared, "model.quantiser.gate", [2, 2 * d, 1, 1]);
    linear(&mut shared, "model.quantiser.linear", d, d);
    put(&mut shared, "model.quantiser.mask", &[d]);
    let table = "model.quantiser.dictionary";
    put(&mut shared, format!("{table}.running_codes"), &[codes, d]);
    put(&mut shared, format!("{table}.running_counts"), &[codes]);
    put(&mut shared, format!("{table}.running_sums"), &[codes, d]);
    put(&mut shared, "objectives.itm.head.weight", &[d, 2]);
    put(&mut own, "objectives.itm.head.bias", &[2]);
    put(&mut own, format!("{table}.running_usage"), &[codes]);
    put(&mut own, format!("{table}.running_totals"), &[2]);
    (shared, own)
}
