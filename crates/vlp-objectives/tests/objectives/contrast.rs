//! The contrastive loss against its formula, and the hard negatives of a batch of all pairs.

use crate::common::{randomize_weights, scalar, set_temperature, to_cpu};
use burn::module::{ModuleVisitor, Param};
use burn::prelude::*;
use burn::tensor::Gradients;
use vlp_objectives::itc::ItcTarget;
use vlp_objectives::testing::{D_MODEL, Probe, Rig};
use vlp_objectives::{
    Batch, Collator, EncoderOutput, EncoderPasses, Itc, ItcConfig, Itm, ItmConfig, Objective,
    Pretrain, VisionLanguage, total,
};
use vlp_ops::params::{ParamVisitor, visit_params};

fn config() -> ItcConfig {
    ItcConfig::default().with_dim(8)
}

/// Cosine similarities, `[images, texts]`, row by row.
fn similarities(itc: &Itc, output: &EncoderOutput<'_>) -> Vec<f64> {
    let images = itc.image_embeddings(output.image());
    let texts = itc.text_embeddings(output.text());
    for embeddings in [&images, &texts] {
        let norms = to_cpu(embeddings.clone().square().sum_dim(1));
        assert!(norms.iter().all(|n| (n - 1.0).abs() < 1e-5), "{norms:?}");
    }
    to_cpu(images.matmul(texts.transpose()))
}

fn is_positive(a: &ItcTarget, b: &ItcTarget) -> bool {
    a.key == b.key || a.ids == b.ids
}

#[test]
fn loss_is_the_mean_cross_entropy_of_both_directions() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(config().init(D_MODEL, &rig.device)),
    };
    let pretrain = randomize_weights(pretrain, 3);
    let itc = pretrain.objectives.as_ref().unwrap();
    let mut examples = rig.examples[..4].to_vec();
    // Two examples of one image: each is a positive of the other.
    examples[3].key = examples[1].key;
    let batch = rig
        .collator()
        .collate(&pretrain.objectives, &examples, &rig.device)
        .unwrap();
    let output = pretrain.encode(&batch).unwrap();
    let similarities = similarities(itc, &output);
    // Random weights may put the temperature out of bounds; the loss clamps it.
    let temperature = scalar(temperature(itc)).clamp(0.001, 0.5);
    let targets: Vec<&ItcTarget> = batch.targets.iter().flatten().collect();
    let mut expected = 0.0;
    for i in 0..4 {
        let positives: Vec<usize> = (0..4)
            .filter(|&j| is_positive(targets[i], targets[j]))
            .collect();
        for index in [|i: usize, j: usize| i * 4 + j, |i, j| j * 4 + i] {
            let logit = |j: usize| similarities[index(i, j)] / temperature;
            let log_sum = (0..4).map(|j| logit(j).exp()).sum::<f64>().ln();
            let log_probs = positives.iter().map(|&j| logit(j) - log_sum);
            expected -= log_probs.sum::<f64>() / positives.len() as f64 / 8.0;
        }
    }
    let losses = itc.loss(&output, &targets).unwrap();
    let value = scalar(losses.terms[0].value.clone());
    // f32 similarities are divided by a temperature of at least 0.001.
    let tolerance = 1e-4 * expected.abs().max(1.0);
    assert!((value - expected).abs() < tolerance, "{value} {expected}");
}

/// The temperature, found among the parameters by its shape.
fn temperature(itc: &Itc) -> Tensor<1> {
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

/// A temperature that an update has moved out of its bounds must find its way back.
#[test]
fn a_temperature_out_of_bounds_is_clamped_and_has_a_gradient() {
    struct FindGrad<'a>(&'a Gradients, Option<f64>);
    impl ParamVisitor for FindGrad<'_> {
        fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
            if path == "objectives.temperature" {
                self.1 = param.val().grad(self.0).map(|grad| to_cpu(grad)[0]);
            }
        }
    }
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    let loss_and_grad = |temperature: f64| {
        let pretrain = Pretrain {
            model: rig.model().unwrap(),
            objectives: Some(config().init(D_MODEL, &rig.device)),
        };
        let pretrain = set_temperature(randomize_weights(pretrain, 3), temperature);
        let batch = rig
            .collator()
            .collate(&pretrain.objectives, &rig.examples[..4], &rig.device)
            .unwrap();
        let loss = total(&pretrain.losses(&batch).unwrap()).unwrap();
        let grads = loss.backward();
        let mut grad = FindGrad(&grads, None);
        visit_params(&pretrain, &mut grad);
        (scalar(loss), grad.1.unwrap())
    };
    for (temperature, bound) in [(-1.0, 0.001), (0.0001, 0.001), (0.07, 0.07), (2.0, 0.5)] {
        let (loss, grad) = loss_and_grad(temperature);
        assert_eq!((loss, grad), loss_and_grad(bound), "{temperature}");
        assert!(grad.is_finite() && grad != 0.0, "{temperature}: {grad}");
    }
}

type Matching = Pretrain<Probe, (Option<Itm>, Option<Itc>)>;

/// The mean matching loss of some rows of a batch.
fn matching_loss(
    pretrain: &Matching,
    batch: &Batch<(Option<bool>, Option<ItcTarget>)>,
    rows: &[usize],
) -> f64 {
    let model = &pretrain.model;
    let output = model.encode(&batch.inputs(), EncoderPasses::JOINT).unwrap();
    let itm = pretrain.objectives.0.as_ref().unwrap();
    let logits = to_cpu(itm.logits(output.joint().text.cls()));
    let loss = |&row: &usize| {
        let (negative, positive) = (logits[2 * row], logits[2 * row + 1]);
        let label = match batch.targets[batch.target_index[row]].0.unwrap() {
            true => positive,
            false => negative,
        };
        (negative.exp() + positive.exp()).ln() - label
    };
    rows.iter().map(loss).sum::<f64>() / rows.len() as f64
}

#[test]
fn hard_negatives_are_the_most_similar_ones_and_only_they_are_matched() {
    let rig = Rig::new(&Device::flex().autodiff()).unwrap();
    let collator = Collator {
        all_pairs: true,
        ..rig.collator()
    };
    let hard = config().with_hard_negatives(true);
    let pretrain: Matching = Pretrain {
        model: rig.model().unwrap(),
        objectives: (
            Some(ItmConfig::default().init(D_MODEL, &rig.device)),
            Some(hard.init(D_MODEL, &rig.device)),
        ),
    };
    let pretrain = randomize_weights(pretrain, 5);
    let itc = pretrain.objectives.1.as_ref().unwrap();
    let examples = &rig.examples[..5];
    let batch = collator
        .collate(&pretrain.objectives, examples, &rig.device)
        .unwrap();
    assert_eq!(batch.all_pairs, Some(5));
    // One contrastive target per image, that of its own text.
    let targets: Vec<&ItcTarget> = batch.targets.iter().filter_map(|t| t.1.as_ref()).collect();
    assert_eq!(targets.len(), 5);
    for (target, example) in targets.iter().zip(examples) {
        assert_eq!(target.key, example.key);
        let ids = rig.tokenizer.encode(&example.texts[0], 40).ids;
        assert_eq!(target.ids, ids);
    }
    let miner = itc.miner(targets.clone()).unwrap();
    assert!(!miner.passes().contains(EncoderPasses::JOINT));
    let output = pretrain
        .model
        .encode(&batch.inputs(), miner.passes())
        .unwrap();
    let pairs = miner.mine_hard_negatives(&output);
    let similarities = similarities(itc, &output);
    let similarity = |image: usize, text: usize| similarities[image * 5 + text];
    for index in 0..5 {
        let negatives: Vec<usize> = (0..5)
            .filter(|&other| !is_positive(targets[index], targets[other]))
            .collect();
        let hardest = |similarity: &dyn Fn(usize) -> f64| {
            let negatives = negatives.iter().copied();
            negatives.max_by(|&a, &b| similarity(a).total_cmp(&similarity(b)))
        };
        let text = hardest(&|text| similarity(index, text)).unwrap();
        let image = hardest(&|image| similarity(image, index)).unwrap();
        assert!(pairs.contains(&(index, text)), "{index}: {pairs:?}");
        assert!(pairs.contains(&(image, index)), "{index}: {pairs:?}");
    }
    assert!(
        pairs
            .iter()
            .all(|&(i, t)| !is_positive(targets[i], targets[t]))
    );
    assert!(pairs.len() <= 10);

    // The matching loss is that of the positive pairs and of these.
    let losses = pretrain.losses(&batch).unwrap();
    let value = scalar(losses[0].1.terms[0].value.clone());
    let mut rows: Vec<usize> = pairs.iter().map(|&(i, t)| i * 5 + t).collect();
    rows.extend((0..5).map(|i| i * 6));
    rows.sort_unstable();
    let expected = matching_loss(&pretrain, &batch, &rows);
    // Sums in another order.
    assert!((value - expected).abs() < 1e-5, "{value} {expected}");
    let all_rows: Vec<usize> = (0..25).collect();
    let all = matching_loss(&pretrain, &batch, &all_rows);
    assert!((value - all).abs() > 1e-4, "{value} {all}");
}

#[test]
fn without_hard_negatives_nothing_is_mined() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let itc = config().init(D_MODEL, &rig.device);
    assert!(itc.miner(vec![]).is_none());
}
