//! Checkpoint layouts against the tensor names and shapes of published models (`scripts/weights/keys.py`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod detection;
mod key_lists;
mod module_params;

use std::collections::BTreeSet;

use vlp_weights::{CheckpointLayout, ImportPlan, Rows, TensorCopy, WeightsFile};

use key_lists::{KeyList, file, key_list};
use module_params::{Parameters, backbone, detection, e2e, mlm, soho, text};

/// Plans an import of `parameters` from a file of these tensors. Checks that no two parameters take the same values.
fn plan(layout: CheckpointLayout, keys: &KeyList, parameters: &[Parameters]) -> ImportPlan {
    let (_folder, file) = file(keys);
    assert_eq!(file.detect_layout().unwrap(), layout);
    plan_of_file(layout, keys, &file, parameters)
}

/// As [`plan`], for a file whose layout need not be detected.
fn plan_of_file(
    layout: CheckpointLayout,
    keys: &KeyList,
    file: &WeightsFile,
    parameters: &[Parameters],
) -> ImportPlan {
    let parameters = parameters.concat();
    let plan = ImportPlan::new(layout, file, parameters.clone());
    assert_eq!(
        plan.copies.len() + plan.mismatches.len() + plan.missing.len() + plan.untouched.len(),
        parameters.len()
    );
    let sources: BTreeSet<_> = plan
        .copies
        .iter()
        .map(|copy| {
            let chunk = match copy.source.rows {
                Rows::Chunk { index, .. } => index,
                _ => 0,
            };
            (copy.tensor.clone(), chunk)
        })
        .collect();
    assert_eq!(sources.len(), plan.copies.len());
    let mut used: BTreeSet<_> = sources.into_iter().map(|(name, _)| name).collect();
    used.extend(plan.mismatches.iter().map(|m| m.tensor.clone()));
    let other_tensors = plan.unused.len() + plan.surplus.len() + plan.unknown.len();
    assert_eq!(used.len() + other_tensors, keys.len());
    plan
}

/// Asserts a complete import with these numbers of copies and unused tensors.
fn assert_complete(plan: &ImportPlan, copies: usize, unused: usize) {
    assert!(plan.mismatches.is_empty(), "{:?}", plan.mismatches);
    assert!(plan.missing.is_empty(), "{:?}", plan.missing);
    assert!(plan.unknown.is_empty(), "{:?}", plan.unknown);
    assert!(plan.surplus.is_empty(), "{:?}", plan.surplus);
    assert_eq!(
        (plan.copies.len(), plan.unused.len()),
        (copies, unused),
        "{plan}"
    );
}

#[test]
fn torchvision_resnets_import_completely() {
    for depth in [18, 34, 50, 101, 152] {
        let (backbone, _) = backbone(depth);
        let keys = key_list(&format!("resnet{depth}"));
        let plan = plan(
            CheckpointLayout::TorchvisionResNet,
            &keys,
            std::slice::from_ref(&backbone),
        );
        let norms = backbone.len() / 5;
        assert_complete(&plan, backbone.len(), norms + 2);
        assert!(plan.untouched.is_empty());
    }
}

#[test]
fn bert_imports_completely() {
    let body = text(768, 3072, 12, 30522, 512);
    let head = mlm(768, 30522);
    let parameters = [body.clone(), head.clone()];
    let count = body.len() + head.len();
    // Unused: pooler, next-sentence head, the tied embedding and its bias.
    let keys = key_list("bert_base_pretraining");
    assert_complete(
        &plan(CheckpointLayout::HfBert, &keys, &parameters),
        count,
        6,
    );
    let keys = key_list("bert_base_mlm");
    assert_complete(
        &plan(CheckpointLayout::HfBert, &keys, &parameters),
        count,
        2,
    );
    let small = text(384, 1536, 6, 30522, 512);
    let plan = plan(
        CheckpointLayout::HfBert,
        &key_list("bert_6x384"),
        &[small.clone(), mlm(384, 30522)],
    );
    assert_eq!((plan.copies.len(), plan.missing.len()), (small.len(), 5));
    assert_eq!(
        plan.missing[4],
        ("objectives.mlm.bias".into(), "cls.predictions.bias".into())
    );
}

#[test]
fn bert_imports_with_other_spellings() {
    let parameters = [text(768, 3072, 12, 30522, 512), mlm(768, 30522)];
    let renamed = |rename: &dyn Fn(String) -> Option<String>| -> KeyList {
        let keys = key_list("bert_base_pretraining").into_iter();
        keys.filter_map(|(name, shape)| Some((rename(name)?, shape)))
            .collect()
    };
    let count = parameters.concat().len();
    let old_norms = renamed(&|name| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        Some(name.replace("LayerNorm.bias", "LayerNorm.beta"))
    });
    assert_complete(
        &plan(CheckpointLayout::HfBert, &old_norms, &parameters),
        count,
        6,
    );
    let without_prefix =
        renamed(&|name| Some(name.strip_prefix("bert.").unwrap_or(&name).to_owned()));
    assert_complete(
        &plan(CheckpointLayout::HfBert, &without_prefix, &parameters),
        count,
        6,
    );
    // A file may contain only the other one of two tied tensors.
    let tied = renamed(&|name| (name != "cls.predictions.bias").then_some(name));
    let plan = plan(CheckpointLayout::HfBert, &tied, &parameters);
    assert_complete(&plan, count, 5);
    let is_bias = |copy: &&TensorCopy| copy.parameter == "objectives.mlm.bias";
    let copy = plan.copies.iter().find(is_bias).unwrap();
    assert_eq!(copy.tensor, "cls.predictions.decoder.bias");
}

#[test]
fn bert_imports_into_a_smaller_model() {
    // Three layers and fewer positions; a smaller vocabulary is a mismatch.
    let parameters = [text(768, 3072, 3, 30000, 40)];
    let keys = key_list("bert_base_mlm");
    let plan = plan(CheckpointLayout::HfBert, &keys, &parameters);
    assert_eq!(plan.mismatches.len(), 1);
    let error = plan.mismatches[0].to_string();
    assert!(
        error.ends_with(
            "tensor \"bert.embeddings.word_embeddings.weight\" (F32) has shape [30522, 768]; parameter \
             model.words.word.weight of shape [30000, 768] takes [30000, 768]"
        ),
        "{error}"
    );
    assert_eq!(plan.copies.len(), parameters[0].len() - 1);
    // Nine layers of sixteen tensors, and the MLM head's transform, norm and bias.
    assert_eq!((plan.surplus.len(), plan.unknown.len()), (9 * 16 + 5, 0));
}

#[test]
fn detr_imports_completely() {
    let lists = [
        (CheckpointLayout::FacebookDetr, "detr_r50_facebook", 50),
        (CheckpointLayout::FacebookDetr, "detr_r101_facebook", 101),
        (CheckpointLayout::HfDetr, "detr_r50_hf", 50),
        (CheckpointLayout::HfDetr, "detr_r50_hf_memory", 50),
        (CheckpointLayout::HfDetr, "detr_r50_hf_timm", 50),
    ];
    for (layout, keys, depth) in lists {
        // The class head takes 80 classes and no-object from DETR's 92 rows. DETR has no text embedding.
        let (backbone, channels) = backbone(depth);
        let (projection, not_in_detr) = e2e(channels, 256, 30522);
        let words = text(256, 2048, 6, 30522, 512);
        let heads = detection(256, 2048, 6, 81);
        let parameters = [
            backbone,
            projection,
            words,
            heads,
            mlm(256, 30522),
            not_in_detr.clone(),
        ];
        let count = parameters.concat().len();
        let plan = plan(layout, &key_list(keys), &parameters);
        // The text embedding has 5 parameters, the MLM head 5.
        let untouched = not_in_detr.len() + 10;
        // Hugging Face's backbone has batch counters.
        let counters = key_list(keys)
            .keys()
            .filter(|n| n.ends_with("num_batches_tracked"))
            .count();
        assert_complete(&plan, count - untouched, counters);
        assert_eq!(plan.untouched.len(), untouched);
    }
}

#[test]
fn soho_imports_completely() {
    let (backbone, channels) = backbone(18);
    let (neck, not_in_soho) = soho(channels, 768, 2048);
    let words = text(768, 3072, 3, 30522, 512);
    let parameters = [
        backbone.clone(),
        neck,
        words,
        not_in_soho.clone(),
        mlm(768, 30522),
    ];
    let count = parameters.concat().len();
    let keys = key_list("soho_res18");
    let plan = plan(CheckpointLayout::OfficialSoho, &keys, &parameters);
    // Unused: batch counters of 20 norms in the backbone and 2 in the neck, the usage count, the tied embedding.
    assert_complete(&plan, count - not_in_soho.len() - 5, 24);
    assert_eq!(plan.untouched.len(), not_in_soho.len() + 5);
}

#[test]
fn missing_unknown_and_mismatched_tensors_are_listed() {
    let mut keys = key_list("detr_r50_facebook");
    keys.remove("query_embed.weight").unwrap();
    keys.insert("lora.weight".into(), vec![4]);
    let in_proj = "transformer.encoder.layers.0.self_attn.in_proj_weight";
    keys.insert(in_proj.into(), vec![512, 256]);
    let parameters = [
        text(256, 2048, 6, 30522, 512),
        detection(256, 2048, 6, 1601),
    ];
    let (_folder, file) = file(&keys);
    let plan = plan_of_file(CheckpointLayout::FacebookDetr, &keys, &file, &parameters);
    assert_eq!(
        plan.missing,
        [(
            "objectives.detection.query_embed".into(),
            "query_embed.weight".into()
        )]
    );
    assert_eq!(plan.unknown, ["lora.weight"]);
    // Query, key and value weights of the layer; weight and bias of the class head.
    assert_eq!(plan.mismatches.len(), 5);
    let error = &plan.mismatches[1];
    assert_eq!(error.tensor_shape, [512, 256]);
    let text = error.to_string();
    assert!(
        text.ends_with(
            "has shape [512, 256]; parameter model.encoder.layers.0.attention.key.weight of shape [256, 256] takes \
             chunk 2 of 3 of [768, 256], transposed as PyTorch stores linear weights"
        ),
        "{text}"
    );
    assert!(
        plan.surplus
            .iter()
            .all(|name| name.starts_with("backbone.0.body.") || name.starts_with("input_proj"))
    );
}

#[test]
fn layout_names_round_trip() {
    for layout in CheckpointLayout::ALL {
        assert_eq!(
            layout.to_string().parse::<CheckpointLayout>().unwrap(),
            layout
        );
        assert_eq!(
            layout.source("model.encoder.layers.0.attention.query"),
            None
        );
        assert_eq!(layout.source(""), None);
    }
    let error = "bert".parse::<CheckpointLayout>().unwrap_err().to_string();
    assert!(error.contains("torchvision-resnet, hf-bert"), "{error}");
}
