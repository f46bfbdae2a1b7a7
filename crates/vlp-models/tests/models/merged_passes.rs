//! Passes that run as one have the losses and gradients of passes that run apart.

use std::collections::BTreeMap;

use crate::common::{small, to_cpu, vocabulary};
use burn::module::Param;
use burn::optim::GradientsParams;
use burn::prelude::*;
use vlp_data::Example;
use vlp_models::{E2eVlp, initialize};
use vlp_objectives::testing::Rig;
use vlp_objectives::{
    CaptioningConfig, DetectionConfig, HeadSizes, ItmConfig, MlmConfig, ObjectiveSet,
    ObjectivesConfig, Pretrain, PretrainObjectives, merge_passes, total,
};
use vlp_ops::params::{ParamVisitor, visit_params};

struct Grads<'a> {
    grads: &'a GradientsParams,
    values: BTreeMap<String, Vec<f32>>,
}

impl ParamVisitor for Grads<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.values.insert(path.into(), to_cpu(grad));
        }
    }
}

type Model = Pretrain<E2eVlp, PretrainObjectives>;

/// Every term of the losses, and every gradient.
fn run(rig: &Rig, pretrain: &Model, examples: &[Example]) -> BTreeMap<String, Vec<f32>> {
    let batch = rig.collator();
    let batch = batch
        .collate(&pretrain.objectives, examples, &rig.device)
        .unwrap();
    let output = pretrain.encode(&batch).unwrap();
    let decoder_inputs = pretrain
        .objectives
        .decoder_inputs(&output, &batch.targets());
    assert_eq!(
        decoder_inputs.unwrap().len(),
        2,
        "the decoder has two inputs to merge"
    );
    let losses = pretrain.losses(&batch).unwrap();
    let grads = total(&losses).unwrap().backward();
    let grads = GradientsParams::from_grads(grads, pretrain);
    let mut visitor = Grads {
        grads: &grads,
        values: BTreeMap::new(),
    };
    visit_params(pretrain, &mut visitor);
    let mut values = visitor.values;
    for (objective, losses) in &losses {
        for term in &losses.terms {
            let name = format!("{objective}/{}/{:?}", term.name, term.layer);
            values.insert(name, to_cpu(term.value.clone()));
        }
    }
    values
}

#[test]
fn merged_passes_have_the_losses_and_gradients_of_separate_ones() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let sizes = |device: &Device, aux_losses: bool| {
        let vocabulary_size = rig.tokenizer.vocab_size();
        let config = small().with_max_positions(40);
        let mut labels = vocabulary(rig.labels.classes.len(), rig.labels.attributes.len());
        labels[0].name = rig.labels.name.clone();
        let detection = DetectionConfig::default()
            .with_num_queries(6)
            .with_aux_losses(aux_losses);
        let objectives = ObjectivesConfig::default()
            .with_itm(Some(ItmConfig::default()))
            .with_mlm(Some(MlmConfig::default()))
            .with_detection(Some(detection))
            .with_caption(Some(CaptioningConfig::default()));
        let sizes = HeadSizes {
            d_model: config.d_model,
            vocab_size: vocabulary_size,
            vocabularies: labels,
            codes: 0,
            answers: 0,
        };
        let pretrain = Pretrain {
            model: config.init(vocabulary_size, device).unwrap(),
            objectives: objectives.init(&sizes, device).unwrap(),
        };
        initialize(pretrain, 3)
    };
    for (examples, aux_losses) in [
        (&rig.examples[..3], true),
        (&rig.two_text_examples[..2], false),
    ] {
        let pretrain = sizes(&rig.device, aux_losses);
        let [apart, merged] = [false, true].map(|merge| {
            merge_passes(merge);
            run(&rig, &pretrain, examples)
        });
        assert!(apart != merged, "nothing was merged");
        assert!(apart.keys().eq(merged.keys()));
        assert!(apart.keys().any(|name| name.starts_with("model.decoder")));
        for (name, values) in &apart {
            let largest = values
                .iter()
                .fold(1.0f32, |most, value| most.max(value.abs()));
            for (a, b) in values.iter().zip(&merged[name]) {
                assert!((a - b).abs() <= 1e-5 * largest, "{name}: {a} {b}");
            }
        }
    }
}
