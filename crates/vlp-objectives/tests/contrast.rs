//! The contrastive loss against its formula, and the hard pairs of a batch of all pairs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::prelude::*;
use common::{host, redraw, scalar};
use vlp_objectives::itc::ItcTarget;
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{
    Batcher, ItcConfig, Itm, ItmConfig, Needs, Objective, ObjectiveSet, Pretrain, VisionLanguage,
};

fn config() -> ItcConfig {
    ItcConfig {
        dim: 8,
        ..ItcConfig::default()
    }
}

#[test]
fn the_loss_is_the_mean_cross_entropy_both_ways() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let own = config();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(own.init(D_MODEL, &rig.device)),
    };
    let pretrain = redraw(pretrain, 3);
    let itc = pretrain.objectives.as_ref().unwrap();
    let mut examples = rig.examples[..4].to_vec();
    // Two examples of one picture: each is a truth of the other.
    examples[3].key = examples[1].key;
    let batch = rig
        .batcher()
        .batch(&pretrain.objectives, &examples, &rig.device)
        .unwrap();
    let encoded = pretrain
        .model
        .encode(&batch.inputs(), Needs::IMAGE)
        .unwrap();
    let images = itc.images(&encoded).unwrap();
    let texts = itc.texts(&encoded, &batch.text).unwrap();
    for vectors in [&images, &texts] {
        let lengths = host(vectors.clone().powi_scalar(2).sum_dim(1));
        assert!(
            lengths.iter().all(|l| (l - 1.0).abs() < 1e-5),
            "{lengths:?}"
        );
    }
    let found = host(images.matmul(texts.transpose()));
    // The redrawn temperature may lie outside its bounds: it is what the loss divides by that counts.
    let temperature = {
        let record = host(itc_temperature(itc));
        record[0].clamp(0.001, 0.5)
    };
    let key = |i: usize| examples[i].key;
    let text = |i: usize| &batch.ids[i];
    let alike = |i: usize, j: usize| key(i) == key(j) || text(i) == text(j);
    let mut expected = 0.0;
    for i in 0..4 {
        let truths = (0..4).filter(|&j| alike(i, j)).count() as f64;
        for at in [|i: usize, j: usize| i * 4 + j, |i, j| j * 4 + i] {
            let logit = |j: usize| found[at(i, j)] / temperature;
            let total = (0..4).map(|j| logit(j).exp()).sum::<f64>().ln();
            let truth = (0..4).filter(|&j| alike(i, j));
            expected -= truth.map(|j| (logit(j) - total) / truths).sum::<f64>() / 8.0;
        }
    }
    let targets: Vec<ItcTarget> = batch.targets.iter().map(|t| t.clone().unwrap()).collect();
    let losses = itc.loss(&encoded, &targets).unwrap();
    let value = scalar(losses.terms[0].2.clone());
    // Products of f32 over a temperature of at least 0.001.
    assert!(
        (value - expected).abs() < 1e-4 * expected.abs().max(1.0),
        "{value} {expected}"
    );
}

/// The temperature among the parameters, by its shape.
fn itc_temperature(itc: &vlp_objectives::Itc) -> Tensor<1> {
    use burn::module::{ModuleVisitor, Param};
    #[derive(Default)]
    struct Find(Option<Tensor<1>>);
    impl ModuleVisitor for Find {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 && param.val().dims()[0] == 1 {
                self.0 = Some(param.val().reshape([1]));
            }
        }
    }
    let mut find = Find::default();
    itc.visit(&mut find);
    find.0.unwrap()
}

#[test]
fn hard_pairs_are_the_false_ones_most_alike_and_only_they_are_matched() {
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    let batcher = Batcher {
        all_pairs: true,
        ..rig.batcher()
    };
    let hard = ItcConfig {
        hard_negatives: true,
        ..config()
    };
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: (
            Some(ItmConfig::default().init(D_MODEL, &rig.device)),
            Some(hard.init(D_MODEL, &rig.device)),
        ),
    };
    let pretrain = redraw(pretrain, 5);
    let (itm, itc) = (
        &pretrain.objectives.0,
        pretrain.objectives.1.as_ref().unwrap(),
    );
    let examples = &rig.examples[..5];
    let batch = batcher
        .batch(&pretrain.objectives, examples, &rig.device)
        .unwrap();
    assert_eq!(batch.all_pairs, Some(5));
    // One contrastive target a picture, that of its own text.
    let targets: Vec<ItcTarget> = batch.targets.iter().filter_map(|t| t.1.clone()).collect();
    assert_eq!(targets.len(), 5);
    for (target, example) in targets.iter().zip(examples) {
        assert_eq!(target.key, example.key);
        assert_eq!(target.ids, rig.pieces.encode(&example.texts[0], 40).ids);
    }
    let encoded = pretrain
        .model
        .encode(&batch.inputs(), Needs::IMAGE)
        .unwrap();
    let pairs = itc.hard_pairs(&encoded, &targets).unwrap();
    let rows: Vec<&[u32]> = targets.iter().map(|t| t.ids.as_slice()).collect();
    let text = vlp_transformer::TextBatch::pack(&rows, 0, &rig.device);
    let images = itc.images(&encoded).unwrap();
    let product = host(images.matmul(itc.texts(&encoded, &text).unwrap().transpose()));
    let alike =
        |a: usize, b: usize| targets[a].key == targets[b].key || targets[a].ids == targets[b].ids;
    for of in 0..5 {
        let others: Vec<usize> = (0..5).filter(|&at| !alike(of, at)).collect();
        for (chosen, place) in [
            (
                pairs
                    .iter()
                    .filter(|p| p.0 == of)
                    .map(|p| p.1)
                    .collect::<Vec<_>>(),
                false,
            ),
            (
                pairs.iter().filter(|p| p.1 == of).map(|p| p.0).collect(),
                true,
            ),
        ] {
            let value = |at: usize| {
                if place {
                    product[at * 5 + of]
                } else {
                    product[of * 5 + at]
                }
            };
            let best = others
                .iter()
                .copied()
                .max_by(|&a, &b| value(a).total_cmp(&value(b)));
            assert!(chosen.contains(&best.unwrap()), "{of}: {chosen:?}");
            assert!(chosen.iter().all(|&at| !alike(of, at)));
        }
    }
    assert!(pairs.len() <= 10);
    // Matching sees the true pairs and those, nothing else: its loss is that of the rows by themselves.
    let losses = pretrain.losses(&batch).unwrap();
    let value = scalar(losses[0].1.terms[0].2.clone());
    let mut chosen: Vec<usize> = pairs.iter().map(|&(i, t)| i * 5 + t).collect();
    chosen.extend((0..5).map(|i| i * 6));
    chosen.sort_unstable();
    let expected = matched(itm.as_ref().unwrap(), &pretrain, &batch, &chosen);
    // The order of sums differs.
    assert!((value - expected).abs() < 1e-5, "{value} {expected}");
    // Without mining it is the loss of all pairs.
    let all = matched(
        itm.as_ref().unwrap(),
        &pretrain,
        &batch,
        &(0..25).collect::<Vec<_>>(),
    );
    assert!((value - all).abs() > 1e-4, "{value} {all}");
}

fn matched<M: VisionLanguage, O: ObjectiveSet<Targets = (Option<bool>, Option<ItcTarget>)>>(
    itm: &Itm,
    pretrain: &Pretrain<M, O>,
    batch: &vlp_objectives::Batch<O::Targets>,
    rows: &[usize],
) -> f64 {
    let encoded = pretrain
        .model
        .encode(&batch.inputs(), Needs::JOINT)
        .unwrap();
    let logits = host(itm.logits(&encoded).unwrap());
    let loss = |&row: &usize| {
        let (no, yes) = (logits[2 * row], logits[2 * row + 1]);
        let truth = if batch.targets[row].0.unwrap() {
            yes
        } else {
            no
        };
        (no.exp() + yes.exp()).ln() - truth
    };
    rows.iter().map(loss).sum::<f64>() / rows.len() as f64
}
