//! Detection of layouts: prefixes of wrappers, and names of other models.

use vlp_weights::{CheckpointLayout, ImportPlan, WeightsError};

use crate::key_lists::{KeyList, file, key_list};
use crate::module_params::{backbone, mlm, text};

const LISTS: [(CheckpointLayout, &str); 7] = [
    (CheckpointLayout::TorchvisionResNet, "resnet18"),
    (CheckpointLayout::HfBert, "bert_base_pretraining"),
    (CheckpointLayout::HfBert, "bert_6x384"),
    (CheckpointLayout::FacebookDetr, "detr_r50_facebook"),
    (CheckpointLayout::HfDetr, "detr_r50_hf"),
    (CheckpointLayout::HfDetr, "detr_r50_hf_timm"),
    (CheckpointLayout::OfficialSoho, "soho_res18"),
];

fn renamed(keys: KeyList, rename: impl Fn(&str) -> String) -> KeyList {
    keys.into_iter()
        .map(|(name, shape)| (rename(&name), shape))
        .collect()
}

/// Small tensors of these names.
fn names(names: &[&str]) -> KeyList {
    names.iter().map(|name| ((*name).into(), vec![2])).collect()
}

fn detection_error(keys: &KeyList) -> String {
    let (_folder, file) = file(keys);
    let error = file.detect_layout().unwrap_err();
    assert!(matches!(error, WeightsError::UnknownNames { .. }));
    let text = error.to_string();
    for layout in CheckpointLayout::ALL {
        assert!(text.contains(layout.name()), "{text}");
    }
    text
}

#[test]
fn layouts_are_detected_below_the_prefixes_of_wrappers() {
    for (layout, list) in LISTS {
        for prefix in [
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "_orig_mod.module.",
            "module.module._orig_mod.module.",
            "model.",
            "model._orig_mod.",
            "module.model.",
            "_forward_module.net.module.",
        ] {
            let keys = renamed(key_list(list), |name| format!("{prefix}{name}"));
            let (_folder, file) = file(&keys);
            assert_eq!(file.detect_layout().unwrap(), layout, "{prefix}{list}");
            assert_eq!(file.names().len(), keys.len());
        }
    }
}

#[test]
fn every_parameter_is_imported_from_below_a_prefix() {
    let parameters = backbone(18).0;
    for prefix in ["model.", "module._orig_mod.", "model._orig_mod.module."] {
        let keys = renamed(key_list("resnet18"), |name| format!("{prefix}{name}"));
        let (_folder, file) = file(&keys);
        let layout = CheckpointLayout::TorchvisionResNet;
        let plan = ImportPlan::new(layout, &file, parameters.clone());
        assert_eq!(plan.copies.len(), parameters.len(), "{prefix}: {plan}");
        assert!(plan.missing.is_empty() && plan.unknown.is_empty());
    }
}

/// DETR's classes are COCO's; another head, as of Visual Genome's, keeps its values.
#[test]
fn class_head_of_detr_goes_to_the_label_space_with_its_classes() {
    let head = |index: usize, classes: usize| {
        let path = format!("objectives.detection.heads.{index}.class.weight");
        (path, vec![256, classes + 1])
    };
    for list in ["detr_r50_facebook", "detr_r50_hf"] {
        let (_folder, file) = file(&key_list(list));
        let layout = file.detect_layout().unwrap();
        let plan = ImportPlan::new(layout, &file, [head(0, 1600), head(1, 80)]);
        assert_eq!(plan.untouched, [head(0, 1600).0], "{plan}");
        assert_eq!(plan.copies[0].parameter, head(1, 80).0);
        assert!(plan.copies.len() == 1 && plan.mismatches.is_empty());
        let plan = ImportPlan::new(layout, &file, [head(0, 1600)]);
        assert_eq!(plan.mismatches.len(), 1, "{plan}");
    }
}

#[test]
fn names_of_other_models_fit_no_layout() {
    // The names that CLIP, ViLT, RoBERTa, ALBERT, BART and others share with these layouts, among others of their own.
    let cases: [(&[&str], &str); 8] = [
        (
            &[
                "positional_embedding",
                "text_projection",
                "visual.layer1.0.conv1.weight",
                "transformer.resblocks.0.attn.in_proj_weight",
                "transformer.resblocks.0.attn.in_proj_bias",
            ],
            "the first name is \"positional_embedding\"",
        ),
        (
            &[
                "roberta.embeddings.word_embeddings.weight",
                "roberta.encoder.layer.0.attention.self.query.weight",
                "lm_head.bias",
            ],
            "the first name is \"lm_head.bias\"",
        ),
        (
            &[
                "vilt.embeddings.text_embeddings.word_embeddings.weight",
                "vilt.encoder.layer.0.attention.attention.query.weight",
            ],
            "the first name is \"vilt.embeddings.",
        ),
        (
            &[
                "embeddings.text_embeddings.word_embeddings.weight",
                "encoder.layer.0.output.dense.weight",
            ],
            "hf-bert, has no tensor \"embeddings.text_embeddings.word_embeddings.weight\"",
        ),
        (
            &[
                "encoder.layers.0.self_attn.q_proj.weight",
                "decoder.layers.0.encoder_attn.q_proj.weight",
                "shared.weight",
            ],
            "hf-detr, has no tensor \"shared.weight\"",
        ),
        (
            &[
                "conv1.weight",
                "bn1.weight",
                "layer1.0.conv1.weight",
                "layer1.0.se.fc1.weight",
            ],
            "torchvision-resnet, has no tensor \"layer1.0.se.fc1.weight\"",
        ),
        (
            &["neck.conv.conv.weight", "bbox_head.weight"],
            "official-soho, has no tensor \"bbox_head.weight\"",
        ),
        (&[], "it has no tensors"),
    ];
    for (list, expected) in cases {
        let text = detection_error(&names(list));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn one_more_or_one_required_name_less_is_reported() {
    for (layout, list) in LISTS {
        let mut keys = key_list(list);
        keys.insert("adapter.lora.weight".into(), vec![4]);
        let text = detection_error(&keys);
        let expected = format!("the nearest, {layout}, has no tensor \"adapter.lora.weight\"");
        assert!(text.ends_with(&expected), "{text}");
    }
    for (list, name) in [
        ("resnet18", "conv1.weight"),
        ("bert_6x384", "embeddings.token_type_embeddings.weight"),
        ("detr_r50_facebook", "input_proj.weight"),
        ("soho_res18", "neck.vq.embed"),
    ] {
        let mut keys = key_list(list);
        keys.remove(name).unwrap();
        let text = detection_error(&keys);
        assert!(
            text.ends_with(&format!("requires a tensor {name:?}")),
            "{text}"
        );
    }
    // The released DETR without its class head is for fine-tuning.
    let mut keys = key_list("detr_r50_facebook");
    keys.retain(|name, _| !name.starts_with("class_embed."));
    let (_folder, file) = file(&keys);
    assert_eq!(
        file.detect_layout().unwrap(),
        CheckpointLayout::FacebookDetr
    );
}

#[test]
fn two_models_in_one_file_are_reported() {
    let mut keys = key_list("resnet18");
    keys.extend(renamed(key_list("resnet18"), |name| {
        format!("model.{name}")
    }));
    let text = detection_error(&keys);
    assert!(text.contains("once, under another spelling"), "{text}");
    // A parameter whose values both models have is not taken from either without a word.
    let (_folder, file) = file(&keys);
    let layout = CheckpointLayout::TorchvisionResNet;
    let plan = ImportPlan::new(layout, &file, backbone(18).0);
    assert_eq!(plan.unknown.len(), 122);
}

#[test]
fn a_bert_with_other_shapes_is_a_mismatch() {
    // A bare RoBERTa has BERT's names; its vocabulary and its one token type differ.
    let mut keys = key_list("bert_6x384");
    keys.insert("embeddings.word_embeddings.weight".into(), vec![50265, 384]);
    keys.insert(
        "embeddings.token_type_embeddings.weight".into(),
        vec![1, 384],
    );
    let (_folder, file) = file(&keys);
    let parameters = [text(384, 1536, 6, 30522, 512), mlm(384, 30522)].concat();
    let plan = ImportPlan::new(CheckpointLayout::HfBert, &file, parameters);
    assert_eq!(plan.mismatches.len(), 2, "{plan}");
}
