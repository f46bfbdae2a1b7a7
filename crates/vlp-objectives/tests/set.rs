//! Sets of objectives: targets of each unit, names of metrics, and objectives that are switched off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use burn::prelude::*;
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{
    Captioning, CaptioningConfig, EncoderPasses, HeadSizes, Itc, Metrics, Mlm, MlmConfig, Nlvr2,
    Nlvr2Config, ObjectiveSet, ObjectivesConfig, Pretrain, objective_set, total,
};
use vlp_scenes::Task;

objective_set! {
    /// One objective for each unit, and one that is off.
    struct Objectives(Targets, AllMetrics) {
        mlm: Option<Mlm>,
        caption: Option<Captioning>,
        nlvr2: Option<Nlvr2>,
        itc: Option<Itc>,
    }
}

fn objectives(rig: &Rig) -> Objectives {
    let vocab_size = rig.tokenizer.vocab_size();
    Objectives {
        mlm: Some(MlmConfig::default().init(D_MODEL, vocab_size, &rig.device)),
        caption: Some(CaptioningConfig::default().init(vocab_size, &rig.device)),
        nlvr2: Some(Nlvr2Config::default().init(D_MODEL, &rig.device)),
        itc: None,
    }
}

#[test]
fn objectives_of_all_units_share_a_batch() {
    let rig = Rig::for_task(Task::Nlvr2, &Device::flex()).unwrap();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: objectives(&rig),
    };
    let batch = rig
        .collator()
        .collate(&pretrain.objectives, &rig.examples[..3], &rig.device)
        .unwrap();
    assert_eq!(batch.targets.len(), 3);
    assert_eq!(batch.pairing.texts(), 6);
    assert!(batch.targets.iter().all(|targets| targets.itc.is_none()));
    assert!(batch.image_texts.is_none());
    let losses = pretrain.losses(&batch).unwrap();
    let names: Vec<&str> = losses.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["mlm", "caption", "nlvr2"]);
    let total = total(&losses).unwrap().into_scalar::<f32>();
    assert!(total.is_finite() && total > 0.0);
}

#[test]
fn empty_metrics_list_the_names_of_all_objectives_that_are_on() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let scores = objectives(&rig)
        .metrics()
        .scores(&rig.metric_context())
        .unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score.name.as_str()).collect();
    let expected = [
        "mlm/accuracy",
        "caption/bleu4",
        "caption/cider_d",
        "nlvr2/accuracy",
        "nlvr2/consistency",
    ];
    assert_eq!(names, expected);
    assert!(scores.iter().all(|score| score.value.is_none()));
}

#[test]
fn metrics_of_a_set_reach_another_process_exactly() {
    let rig = Rig::new(&Device::flex()).unwrap();
    for fraction in [0.1, f64::NAN] {
        let mut metrics = objectives(&rig).metrics();
        let accuracy = &mut metrics.mlm.as_mut().unwrap().accuracy;
        accuracy.record_fraction(fraction);
        accuracy.record_fraction(0.2);
        let bytes = rmp_serde::to_vec_named(&metrics).unwrap();
        let received: AllMetrics = rmp_serde::from_slice(&bytes).unwrap();
        assert!(received.itc.is_none());
        assert_eq!(format!("{received:?}"), format!("{metrics:?}"));
    }
}

#[test]
fn a_set_without_objectives_has_no_passes_and_no_losses() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let sizes = HeadSizes {
        d_model: D_MODEL,
        vocab_size: rig.tokenizer.vocab_size(),
        vocabularies: vec![rig.vocabulary()],
        codes: 0,
        answers: 0,
    };
    let config = ObjectivesConfig::default();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: config.init(&sizes, &rig.device).unwrap(),
    };
    assert_eq!(pretrain.objectives.passes(), EncoderPasses::NONE);
    let batch = rig
        .collator()
        .collate(&pretrain.objectives, &rig.examples, &rig.device)
        .unwrap();
    assert!(total(&pretrain.losses(&batch).unwrap()).is_none());
}
