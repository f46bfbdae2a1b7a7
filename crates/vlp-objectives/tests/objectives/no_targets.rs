//! An optimizer step without boxes or attributes after one with them.

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{DetectionConfig, Pretrain, total};
use vlp_ops::params::{ParamVisitor, visit_params};

use crate::common::to_cpu;

const LEARNING_RATE: f64 = 1e-2;
const WEIGHT_DECAY: f64 = 0.1;
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Values of the parameters, and their gradients, by path.
#[derive(Default)]
struct Collected<'a> {
    grads: Option<&'a GradientsParams>,
    values: BTreeMap<String, Vec<f64>>,
}

impl ParamVisitor for Collected<'_> {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let values = match self.grads {
            Some(grads) => grads.get::<D>(param.id).map(to_cpu),
            None => Some(to_cpu(param.val())),
        };
        self.values
            .extend(values.map(|values| (path.to_owned(), values)));
    }
}

fn collect<M: Module>(module: &M, grads: Option<&GradientsParams>) -> BTreeMap<String, Vec<f64>> {
    let mut collected = Collected {
        grads,
        ..Collected::default()
    };
    visit_params(module, &mut collected);
    collected.values
}

/// Trains a step on examples with objects and attributes, then one on examples changed by `remove`. Checks that the
/// parameters with `part` in their paths change as PyTorch's AdamW changes them for a gradient of zero.
fn check_second_step(part: &str, remove: fn(&mut Example)) {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = DetectionConfig::default().with_num_queries(6);
    let vocabularies = vec![rig.vocabulary()];
    let detection = config.init(D_MODEL, vocabularies, &rig.device).unwrap();
    let mut module = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(detection),
    };
    let mut optimizer = AdamWConfig::new()
        .with_weight_decay(WEIGHT_DECAY as f32)
        .with_beta_1(BETAS[0] as f32)
        .with_beta_2(BETAS[1] as f32)
        .with_epsilon(EPSILON as f32)
        .init();
    let mut without = rig.examples.clone();
    without.iter_mut().for_each(remove);
    let (mut first_grads, mut values) = (BTreeMap::new(), vec![]);
    for examples in [&rig.examples, &without] {
        let collator = rig.collator();
        let batch = collator.collate(&module.objectives, examples, &rig.device);
        let loss = total(&module.losses(&batch.unwrap()).unwrap()).unwrap();
        let grads = GradientsParams::from_grads(loss.backward(), &module);
        if first_grads.is_empty() {
            first_grads = collect(&module, Some(&grads));
        }
        module = optimizer.step(LEARNING_RATE, module, grads);
        values.push(collect(&module, None));
    }
    let paths: Vec<&String> = (values[0].keys())
        .filter(|path| path.contains(part))
        .collect();
    assert!(paths.len() >= 2, "{paths:?}");
    for path in paths {
        let [before, after] = [0, 1].map(|step| &values[step][path]);
        for ((before, after), grad) in before.iter().zip(after).zip(&first_grads[path]) {
            // Moments of the gradients g and 0, divided by their bias corrections.
            let [first, second] = [(BETAS[0], *grad), (BETAS[1], grad * grad)]
                .map(|(beta, value)| beta * (1.0 - beta) * value / (1.0 - beta * beta));
            let decayed = before * (1.0 - LEARNING_RATE * WEIGHT_DECAY);
            let expected = decayed - LEARNING_RATE * first / (second.sqrt() + EPSILON);
            // Rounding of f32 weights and moments; the change itself is of size 5e-3.
            assert!(
                (after - expected).abs() < 1e-5,
                "{path}: {after}, not {expected}"
            );
        }
    }
}

#[test]
fn box_head_moves_on_in_a_step_without_boxes() {
    check_second_step("box_head", |example| example.objects = Some(vec![]));
}

#[test]
fn attribute_head_moves_on_in_a_step_without_boxes_or_attributes() {
    check_second_step(".attribute.", |example| example.objects = Some(vec![]));
    check_second_step(".attribute.", |example| {
        for object in example.objects.iter_mut().flatten() {
            object.attributes.clear();
        }
    });
}
