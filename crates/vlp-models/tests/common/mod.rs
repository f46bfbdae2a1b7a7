//! What the tests of this crate share.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    unused_imports
)]

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use vlp_models::{E2eVlpConfig, HeadSizes, ObjectivesConfig, PretrainObjectives};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::{CaptioningConfig, DetectionConfig, ItmConfig, MlmConfig};
pub use vlp_testing::distance;
use vlp_vision::{Depth, NormMode, ResNetConfig, Stem};

pub fn small() -> E2eVlpConfig {
    E2eVlpConfig {
        backbone: ResNetConfig {
            width: 4,
            stem: Stem::Small,
            norm: NormMode::Frozen,
            ..ResNetConfig::new(Depth::R10)
        },
        d_model: 16,
        heads: 4,
        ffn: 32,
        encoder_layers: 2,
        decoder_layers: 2,
        caption_layers: 0,
        dropout: 0.0,
        max_positions: 12,
        modality_embedding: false,
        recompute: vec![],
        quantiser: None,
    }
}

pub fn vocabulary(classes: usize, attributes: usize) -> Vec<ClassVocabulary> {
    vec![ClassVocabulary {
        name: "vocabulary".into(),
        classes,
        attributes,
    }]
}

pub fn objectives(
    d_model: usize,
    vocab: usize,
    vocabularies: Vec<ClassVocabulary>,
    device: &Device,
) -> PretrainObjectives {
    ObjectivesConfig {
        itm: Some(ItmConfig::default()),
        mlm: Some(MlmConfig::default()),
        mvm: None,
        detection: Some(DetectionConfig::default()),
        caption: Some(CaptioningConfig::default()),
        ..ObjectivesConfig::default()
    }
    .init(
        &HeadSizes {
            d_model,
            vocab_size: vocab,
            vocabularies,
            codes: 0,
            answers: 0,
        },
        device,
    )
    .unwrap()
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

#[derive(Default)]
struct Weights {
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
    sizes: BTreeMap<String, usize>,
    read: bool,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        self.sizes
            .insert(path.clone(), param.lazy_shape().num_elements());
        if self.read {
            self.found.insert(path, host(param.val()));
        }
    }
}

/// Every parameter and buffer by path.
pub fn weights<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    let mut visitor = Weights {
        read: true,
        ..Weights::default()
    };
    module.visit(&mut visitor);
    visitor.found
}

/// Number of parameters, running statistics left out.
pub fn parameters<M: Module>(module: &M) -> usize {
    let mut visitor = Weights::default();
    module.visit(&mut visitor);
    visitor
        .sizes
        .iter()
        .filter(|(path, _)| !path.contains("running_"))
        .map(|(_, n)| n)
        .sum()
}
