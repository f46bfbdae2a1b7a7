//! Helpers of this crate's tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    unused_imports
)]

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::prelude::*;
use vlp_models::{E2eVlpConfig, Pool, SohoConfig};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::{
    CaptioningConfig, DetectionConfig, HeadSizes, ItmConfig, MlmConfig, ObjectivesConfig,
    PretrainObjectives,
};
use vlp_ops::params::{ParamVisitor, visit_params};
pub use vlp_testing::max_abs_diff;
use vlp_vision::padded::ImageView;
use vlp_vision::{Depth, NormMode, PaddedImages, ResNetConfig, Stem, VectorQuantizerConfig};

pub fn small() -> E2eVlpConfig {
    E2eVlpConfig::new(
        ResNetConfig::new(Depth::R10)
            .with_width(4)
            .with_stem(Stem::Small)
            .with_norm(NormMode::Frozen),
    )
    .with_d_model(16)
    .with_n_heads(4)
    .with_d_ff(32)
    .with_encoder_layers(2)
    .with_decoder_layers(2)
    .with_dropout(0.0)
    .with_max_positions(12)
}

pub fn small_soho() -> SohoConfig {
    SohoConfig::new(small().backbone.with_stages(3))
        .with_d_model(16)
        .with_n_heads(4)
        .with_d_ff(32)
        .with_encoder_layers(2)
        .with_dropout(0.0)
        .with_max_positions(12)
        .with_pool(Pool::Before)
        .with_quantizer(Some(VectorQuantizerConfig::new(6)))
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
    vocab_size: usize,
    vocabularies: Vec<ClassVocabulary>,
    device: &Device,
) -> PretrainObjectives {
    ObjectivesConfig::default()
        .with_itm(Some(ItmConfig::default()))
        .with_mlm(Some(MlmConfig::default()))
        .with_detection(Some(DetectionConfig::default()))
        .with_caption(Some(CaptioningConfig::default()))
        .init(
            &HeadSizes {
                d_model,
                vocab_size,
                vocabularies,
                codes: 0,
                answers: 0,
            },
            device,
        )
        .unwrap()
}

/// Images of noise of these heights and widths.
pub fn images(sizes: &[(usize, usize)], device: &Device) -> PaddedImages {
    let pixels: Vec<Vec<f32>> = sizes
        .iter()
        .enumerate()
        .map(|(i, (h, w))| {
            let values = vlp_testing::noise(3 * h * w, i as u64 + 1);
            values.into_iter().map(|value| value as f32).collect()
        })
        .collect();
    let views: Vec<ImageView<'_>> = sizes
        .iter()
        .zip(&pixels)
        .map(|(&(height, width), pixels)| ImageView {
            pixels,
            height,
            width,
        })
        .collect();
    PaddedImages::collate(&views, 1, device).unwrap()
}

pub fn to_cpu<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

#[derive(Default)]
struct Values(BTreeMap<String, Vec<f32>>);

impl ParamVisitor for Values {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        self.0.insert(path.into(), to_cpu(param.val()));
    }
}

/// Values of all parameters and buffers by path.
pub fn weights<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    let mut values = Values::default();
    visit_params(module, &mut values);
    values.0
}

#[derive(Default)]
struct Count(usize);

impl ParamVisitor for Count {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if !path.contains("running_") {
            self.0 += param.lazy_shape().num_elements();
        }
    }
}

/// Number of parameters without running statistics.
pub fn parameter_count<M: Module>(module: &M) -> usize {
    let mut count = Count::default();
    visit_params(module, &mut count);
    count.0
}
