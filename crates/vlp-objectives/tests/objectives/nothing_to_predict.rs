//! Each objective alone on a batch with nothing for it to predict.

use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::testing::{CODES, D_MODEL, Rig};
use vlp_objectives::{
    DetectionConfig, ItcConfig, MlmConfig, MvmConfig, Nlvr2Config, Objective, Pretrain,
    SnliVeConfig, VqaConfig, total,
};
use vlp_scenes::Task;

/// Checks that the loss is zero and has a backward pass.
fn check_zero<O: Objective>(rig: &Rig, objective: O, examples: &[Example]) {
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(objective),
    };
    let collator = rig.collator();
    let batch = collator
        .collate(&pretrain.objectives, examples, &rig.device)
        .unwrap();
    let loss = total(&pretrain.losses(&batch).unwrap()).unwrap();
    assert_eq!(loss.clone().into_scalar::<f32>(), 0.0, "{}", O::NAME);
    loss.backward();

    // Without autodiff too.
    let device = rig.device.clone().inner();
    let pretrain = pretrain.valid();
    let batch = collator
        .collate(&pretrain.objectives, examples, &device)
        .unwrap();
    let loss = total(&pretrain.losses(&batch).unwrap()).unwrap();
    assert_eq!(loss.into_scalar::<f32>(), 0.0, "{}", O::NAME);
    let mut metrics = pretrain.metrics();
    pretrain.evaluate(&batch, &mut metrics).unwrap();
}

fn rig() -> Rig {
    Rig::new(&Device::flex()).unwrap()
}

fn unlabeled(rig: &Rig) -> Vec<Example> {
    let mut examples = rig.examples.clone();
    for example in &mut examples {
        (example.label, example.objects) = (None, None);
    }
    examples
}

#[test]
fn mlm_without_masked_tokens_is_zero() {
    let rig = rig();
    let config = MlmConfig::default().with_probability(0.0);
    let mlm = config.init(D_MODEL, rig.tokenizer.vocab_size(), &rig.device);
    check_zero(&rig, mlm, &rig.examples);
}

#[test]
fn mvm_without_masked_tokens_is_zero() {
    let rig = rig();
    let config = MvmConfig::default().with_probability(0.0);
    let mvm = config.init(D_MODEL, CODES, &rig.device).unwrap();
    check_zero(&rig, mvm, &rig.examples);
}

#[test]
fn itc_of_one_image_is_zero() {
    let rig = rig();
    let itc = ItcConfig::default().init(D_MODEL, &rig.device);
    check_zero(&rig, itc, &rig.examples[..1]);
}

#[test]
fn detection_without_annotated_boxes_is_zero() {
    let rig = rig();
    for from_joint in [false, true] {
        let config = DetectionConfig::default().with_from_joint(from_joint);
        let vocabularies = vec![rig.vocabulary()];
        let detection = config.init(D_MODEL, vocabularies, &rig.device).unwrap();
        check_zero(&rig, detection, &unlabeled(&rig));
    }
}

#[test]
fn detection_without_objects_and_without_weight_of_no_object_is_zero() {
    let rig = rig();
    let mut examples = rig.examples.clone();
    for example in &mut examples {
        example.objects = Some(vec![]);
    }
    // The smallest weight is zero in f32.
    for no_object in [0.0, 1e-50] {
        let config = DetectionConfig::default().with_no_object(no_object);
        let vocabularies = vec![rig.vocabulary()];
        let detection = config.init(D_MODEL, vocabularies, &rig.device).unwrap();
        check_zero(&rig, detection, &examples);
    }
}

#[test]
fn snli_ve_without_labels_is_zero() {
    let rig = rig();
    let snli_ve = SnliVeConfig::default().init(D_MODEL, &rig.device);
    check_zero(&rig, snli_ve, &unlabeled(&rig));
}

#[test]
fn vqa_without_annotators_is_zero() {
    let rig = Rig::for_task(Task::Vqa, &Device::flex()).unwrap();
    let answers = rig.answers.as_ref().unwrap().len();
    let vqa = VqaConfig::default();
    let vqa = vqa.init(D_MODEL, answers, &rig.device).unwrap();
    check_zero(&rig, vqa, &unlabeled(&rig));
}

#[test]
fn nlvr2_without_labels_is_zero() {
    let rig = Rig::for_task(Task::Nlvr2, &Device::flex()).unwrap();
    let nlvr2 = Nlvr2Config::default().init(D_MODEL, &rig.device);
    check_zero(&rig, nlvr2, &unlabeled(&rig));
}
