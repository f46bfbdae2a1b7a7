//! The maps against the names and shapes of published models (`scripts/weights/keys.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lists;
mod ours;

use std::collections::BTreeSet;

use vlp_weights::{Convention, Plan, Rows};

use lists::{List, file, list};
use ours::{Parameters, detection, e2e, mlm, soho, text, trunk};

/// Plans `parameters` out of a file of these keys; no two take the same values.
fn plan(convention: Convention, keys: &List, parameters: &[Parameters]) -> Plan {
    let (_folder, file) = file(keys);
    assert_eq!(Convention::detect(file.names()), Some(convention));
    let all: Vec<_> = parameters.concat();
    let plan = Plan::new(convention, &file, all.clone());
    let reached = plan.taken.len() + plan.misfits.len() + plan.missing.len() + plan.untouched.len();
    assert_eq!(reached, all.len());
    let places: BTreeSet<_> = plan
        .taken
        .iter()
        .map(|take| {
            let part = match take.source.rows {
                Rows::Part { part, .. } => part,
                _ => 0,
            };
            (take.tensor.clone(), part)
        })
        .collect();
    assert_eq!(places.len(), plan.taken.len());
    let mut used: BTreeSet<_> = places.into_iter().map(|(name, _)| name).collect();
    for misfit in &plan.misfits {
        used.insert(misfit.tensor.clone());
    }
    let others = plan.unused.len() + plan.surplus.len() + plan.unknown.len();
    assert_eq!(used.len() + others, keys.len());
    plan
}

/// Everything found and understood; the number of tensors left aside is given.
fn complete(plan: &Plan, taken: usize, unused: usize) {
    assert!(plan.misfits.is_empty(), "{:?}", plan.misfits);
    assert!(plan.missing.is_empty(), "{:?}", plan.missing);
    assert!(plan.unknown.is_empty(), "{:?}", plan.unknown);
    assert!(plan.surplus.is_empty(), "{:?}", plan.surplus);
    assert_eq!(
        (plan.taken.len(), plan.unused.len()),
        (taken, unused),
        "{plan}"
    );
}

#[test]
fn torchvision() {
    for depth in [18, 34, 50, 101, 152] {
        let (trunk, _) = trunk(depth);
        let keys = list(&format!("resnet{depth}"));
        let plan = plan(
            Convention::TorchvisionResNet,
            &keys,
            std::slice::from_ref(&trunk),
        );
        let norms = trunk.len() / 5;
        complete(&plan, trunk.len(), norms + 2);
        assert!(plan.untouched.is_empty());
    }
}

#[test]
fn bert() {
    let body = text(768, 3072, 12, 30522, 512);
    let head = mlm(768, 30522);
    let both = [body.clone(), head.clone()];
    let count = body.len() + head.len();
    // Pooler, next sentence, the tied table and its bias.
    let keys = list("bert_base_pretraining");
    complete(&plan(Convention::HfBert, &keys, &both), count, 6);
    let keys = list("bert_base_mlm");
    complete(&plan(Convention::HfBert, &keys, &both), count, 2);
    let small = text(384, 1536, 6, 30522, 512);
    let found = plan(
        Convention::HfBert,
        &list("bert_6x384"),
        &[small.clone(), mlm(384, 30522)],
    );
    assert_eq!((found.taken.len(), found.missing.len()), (small.len(), 5));
    assert_eq!(
        found.missing[4],
        ("objectives.mlm.bias".into(), "cls.predictions.bias".into())
    );
}

#[test]
fn bert_in_other_spellings() {
    let parameters = [text(768, 3072, 12, 30522, 512), mlm(768, 30522)];
    let respelt = |respell: &dyn Fn(String) -> Option<String>| -> List {
        let keys = list("bert_base_pretraining").into_iter();
        keys.filter_map(|(name, shape)| Some((respell(name)?, shape)))
            .collect()
    };
    let count = parameters.concat().len();
    let old = respelt(&|name| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        Some(name.replace("LayerNorm.bias", "LayerNorm.beta"))
    });
    complete(&plan(Convention::HfBert, &old, &parameters), count, 6);
    let bare = respelt(&|name| Some(name.strip_prefix("bert.").unwrap_or(&name).to_owned()));
    complete(&plan(Convention::HfBert, &bare, &parameters), count, 6);
    // Of tied tensors a file may have kept the other one.
    let tied = respelt(&|name| (name != "cls.predictions.bias").then_some(name));
    let found = plan(Convention::HfBert, &tied, &parameters);
    complete(&found, count, 5);
    let bias = |take: &&vlp_weights::Take| take.path == "objectives.mlm.bias";
    let take = found.taken.iter().find(bias).unwrap();
    assert_eq!(take.tensor, "cls.predictions.decoder.bias");
}

#[test]
fn bert_for_a_smaller_model() {
    // Three layers, short texts; another vocabulary does not fit.
    let parameters = [text(768, 3072, 3, 30000, 40)];
    let found = plan(Convention::HfBert, &list("bert_base_mlm"), &parameters);
    assert_eq!(found.misfits.len(), 1);
    let error = found.misfits[0].to_string();
    assert!(
        error.ends_with(
            "tensor \"bert.embeddings.word_embeddings.weight\" (F32) has shape [30522, 768]; parameter \
             model.words.word.weight of shape [30000, 768] takes [30000, 768]"
        ),
        "{error}"
    );
    assert_eq!(found.taken.len(), parameters[0].len() - 1);
    // Nine layers of sixteen tensors, and the head's transform, norm and bias.
    assert_eq!((found.surplus.len(), found.unknown.len()), (9 * 16 + 5, 0));
}

#[test]
fn detr() {
    let lists = [
        (Convention::FacebookDetr, "detr_r50_facebook", 50),
        (Convention::FacebookDetr, "detr_r101_facebook", 101),
        (Convention::HfDetr, "detr_r50_hf", 50),
        (Convention::HfDetr, "detr_r50_hf_memory", 50),
        (Convention::HfDetr, "detr_r50_hf_timm", 50),
    ];
    for (convention, keys, depth) in lists {
        // 80 classes and no-object out of DETR's 92 rows; DETR knows no text.
        let (trunk, channels) = trunk(depth);
        let (projection, own) = e2e(channels, 256, 30522);
        let words = text(256, 2048, 6, 30522, 512);
        let heads = detection(256, 2048, 6, 81);
        let parameters = [
            trunk,
            projection,
            words,
            heads,
            mlm(256, 30522),
            own.clone(),
        ];
        let all = parameters.concat().len();
        let found = plan(convention, &list(keys), &parameters);
        // The embedding has 5, the head of masked language modelling 5.
        let untouched = own.len() + 10;
        // The trunk of Hugging Face counts batches.
        let counters = list(keys)
            .keys()
            .filter(|n| n.ends_with("num_batches_tracked"))
            .count();
        complete(&found, all - untouched, counters);
        assert_eq!(found.untouched.len(), untouched);
    }
}

#[test]
fn soho_released() {
    let (trunk, channels) = trunk(18);
    let (neck, own) = soho(channels, 768, 2048);
    let words = text(768, 3072, 3, 30522, 512);
    let parameters = [trunk.clone(), neck, words, own.clone(), mlm(768, 30522)];
    let all = parameters.concat().len();
    let found = plan(Convention::OfficialSoho, &list("soho_res18"), &parameters);
    // Counters of 20 norms of the trunk and 2 of the neck, the count of uses, the tied table.
    complete(&found, all - own.len() - 5, 24);
    assert_eq!(found.untouched.len(), own.len() + 5);
}

#[test]
fn what_is_missing_strange_or_of_another_shape_is_told() {
    let mut keys = list("detr_r50_facebook");
    keys.remove("query_embed.weight").unwrap();
    keys.insert("lora.weight".into(), vec![4]);
    let in_proj = "transformer.encoder.layers.0.self_attn.in_proj_weight";
    keys.insert(in_proj.into(), vec![512, 256]);
    let parameters = [
        text(256, 2048, 6, 30522, 512),
        detection(256, 2048, 6, 1601),
    ];
    let found = plan(Convention::FacebookDetr, &keys, &parameters);
    assert_eq!(
        found.missing,
        [(
            "objectives.detection.query_embed".into(),
            "query_embed.weight".into()
        )]
    );
    assert_eq!(found.unknown, ["lora.weight"]);
    // Queries, keys and values of the layer; weight and bias of the class head.
    assert_eq!(found.misfits.len(), 5);
    let error = &found.misfits[1];
    assert_eq!(error.found, [512, 256]);
    let text = error.to_string();
    assert!(
        text.ends_with(
            "has shape [512, 256]; parameter model.encoder.layers.0.attention.key.weight of shape [256, 256] takes \
             part 2 of 3 of [768, 256], as PyTorch keeps linear weights"
        ),
        "{text}"
    );
    assert!(
        found
            .surplus
            .iter()
            .all(|name| name.starts_with("backbone.0.body.") || name.starts_with("input_proj"))
    );
}

#[test]
fn names_of_conventions_read_back() {
    for convention in Convention::ALL {
        assert_eq!(
            convention.to_string().parse::<Convention>().unwrap(),
            convention
        );
        assert_eq!(
            convention.source("model.encoder.layers.0.attention.query"),
            None
        );
        assert_eq!(convention.source(""), None);
    }
    let error = "bert".parse::<Convention>().unwrap_err().to_string();
    assert!(error.contains("torchvision-resnet, hf-bert"), "{error}");
}
