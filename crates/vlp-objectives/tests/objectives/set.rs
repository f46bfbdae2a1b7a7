//! Sets of objectives: targets of each unit, names of metrics, and objectives that are switched off.

use burn::prelude::*;
use vlp_objectives::detection::MatchCost;
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{
    Captioning, CaptioningConfig, DetectionConfig, EncoderPasses, HeadSizes, Itc, ItcConfig,
    Metrics, Mlm, MlmConfig, Nlvr2, Nlvr2Config, ObjectiveSet, ObjectivesConfig, Pretrain,
    RunContext, SelfCritical, objective_set, total,
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
fn invalid_values_are_named() {
    let run = RunContext {
        has_decoder: true,
        has_dictionary: false,
        all_pairs: false,
        texts_per_image: 1,
    };
    let detection = DetectionConfig::default();
    let cost = MatchCost::default();
    let itc = |temperature| {
        let config = ItcConfig::default().with_temperature(temperature);
        ObjectivesConfig::default().with_itc(Some(config))
    };
    let self_critical = |samples, documents| {
        let config = SelfCritical::default()
            .with_samples(samples)
            .with_documents(documents);
        let config = CaptioningConfig::default().with_self_critical(Some(config));
        ObjectivesConfig::default().with_caption(Some(config))
    };
    let detections = [
        (
            detection.clone().with_no_object(-0.1),
            "detection.no_object = -0.1: use a finite weight of at least 0 (0.1 in DETR)",
        ),
        (
            detection.clone().with_class_weight(f64::NAN),
            "detection.class_weight = NaN: use a finite weight",
        ),
        (
            detection.clone().with_l1_weight(-1.0),
            "detection.l1_weight = -1: ",
        ),
        (
            detection.clone().with_giou_weight(f64::INFINITY),
            "detection.giou_weight = inf: ",
        ),
        (
            detection.clone().with_attribute_weight(-1.0),
            "detection.attribute_weight = -1: ",
        ),
        (
            detection.clone().with_cost(cost.clone().with_class(-1.0)),
            "detection.cost.class = -1: ",
        ),
        (
            detection.clone().with_cost(cost.clone().with_l1(f64::NAN)),
            "detection.cost.l1 = NaN: ",
        ),
        (
            detection.clone().with_cost(cost.clone().with_giou(-2.0)),
            "detection.cost.giou = -2: ",
        ),
        (
            detection.with_cost(cost.with_attribute(-2.0)),
            "detection.cost.attribute = -2: ",
        ),
    ];
    let detections = detections.map(|(config, start)| {
        let config = ObjectivesConfig::default().with_detection(Some(config));
        (config, start)
    });
    let others = [
        (
            itc(0.0),
            "itc.temperature = 0: use a temperature of 0.001 to 0.5 (0.07 in ALBEF)",
        ),
        (itc(0.6), "itc.temperature = 0.6: "),
        (itc(f64::NAN), "itc.temperature = NaN: "),
        (
            self_critical(0, 2),
            "caption.self_critical.samples = 0: use at least 1",
        ),
        (
            self_critical(1, 0),
            "caption.self_critical.documents = 0: use at least 2",
        ),
        (
            self_critical(1, 1),
            "caption.self_critical.documents = 1: use at least 2",
        ),
    ];
    for (config, start) in detections.into_iter().chain(others) {
        let message = config.validate(&run).unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }
    for config in [itc(0.001), itc(0.5), self_critical(1, 2)] {
        config.validate(&run).unwrap();
    }
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
