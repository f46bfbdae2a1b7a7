//! Captioning: what logits depend on, generation, and padding.

use crate::common::{randomize_weights, scalar, to_cpu};
use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::testing::{D_MODEL, Probe, Rig};
use vlp_objectives::{
    Captioning, CaptioningConfig, Inputs, MlmConfig, Objective, Pretrain, VisionLanguage, total,
};
use vlp_transformer::{GeneratedSequence, GenerationConfig, Sampling, TextBatch};

fn captioner(rig: &Rig, seed: u64) -> Pretrain<Probe, Option<Captioning>> {
    let config = CaptioningConfig::default();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(config.init(rig.tokenizer.vocab_size(), &rig.device)),
    };
    randomize_weights(pretrain, seed)
}

#[test]
fn logits_do_not_depend_on_later_tokens_or_on_the_text_of_the_batch() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let pretrain = captioner(&rig, 5);
    let captioning = pretrain.objectives.as_ref().unwrap();
    let batch = rig
        .collator()
        .collate(&pretrain.objectives, &rig.examples[..2], &rig.device)
        .unwrap();
    let logits = |last: u32, text: &TextBatch| {
        let inputs = Inputs {
            text,
            ..batch.inputs()
        };
        let output = pretrain.model.encode(&inputs, captioning.passes()).unwrap();
        let caption: &[u32] = &[2, 9, 11, 13, last];
        let captions = TextBatch::collate(&[caption, caption], 0, &rig.device);
        captioning.head(&output).unwrap().logits(&captions)
    };
    let (a, b) = (logits(20, &batch.text), logits(21, &batch.text));
    let early = |logits: &Tensor<3>| to_cpu(logits.clone().slice(s![.., 0..4]));
    let last = |logits: &Tensor<3>| to_cpu(logits.clone().slice(s![.., 4..5]));
    assert_eq!(early(&a), early(&b));
    assert_ne!(last(&a), last(&b));
    let text = TextBatch::collate(&[&[2, 40, 3], &[2, 41, 3]], 0, &rig.device);
    assert_eq!(to_cpu(a), to_cpu(logits(20, &text)));
}

#[test]
fn greedy_captions_consist_of_the_most_probable_tokens() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let special = rig.tokenizer.special_tokens();
    for seed in 0..4 {
        let pretrain = captioner(&rig, seed);
        let captioning = pretrain.objectives.as_ref().unwrap();
        let batch = rig
            .collator()
            .collate(&pretrain.objectives, &rig.examples[..3], &rig.device)
            .unwrap();
        let output = pretrain.encode(&batch).unwrap();
        let config = GenerationConfig::greedy(special.cls, special.sep, 12);
        let generator = captioning.generator(&output).unwrap();
        for (image, caption) in generator.beam_search(&config).iter().enumerate() {
            let mut ids = vec![special.cls];
            while ids.len() <= 12 {
                let texts = TextBatch::collate(&[ids.as_slice(); 3], 0, &rig.device);
                let logits = captioning.head(&output).unwrap().logits(&texts);
                let next = logits
                    .slice(s![image..image + 1, ids.len() - 1..ids.len()])
                    .argmax(2);
                let next = next.into_data().iter::<i64>().next().unwrap() as u32;
                if next == special.sep {
                    break;
                }
                ids.push(next);
            }
            assert_eq!(caption.ids, ids[1..], "seed {seed}, image {image}");
        }
        let config = config.with_num_beams(3);
        assert_eq!(generator.beam_search(&config).len(), 3);
    }
}

#[test]
fn a_static_cache_gives_the_same_captions() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let special = rig.tokenizer.special_tokens();
    let greedy = GenerationConfig::greedy(special.cls, special.sep, 12);
    let beams = greedy.clone().with_num_beams(3);
    let constrained = beams
        .clone()
        .with_min_new_tokens(4)
        .with_no_repeat_ngram_size(2);
    for seed in 0..4 {
        let pretrain = captioner(&rig, seed);
        let captioning = pretrain.objectives.as_ref().unwrap();
        let collator = rig.collator();
        let batch = collator.collate(&pretrain.objectives, &rig.examples[..3], &rig.device);
        let output = pretrain.encode(&batch.unwrap()).unwrap();
        let generator = |fixed| {
            let generator = captioning.generator(&output).unwrap();
            generator.with_static_cache(fixed)
        };
        for config in [&greedy, &beams, &constrained] {
            let (fixed, growing) = (generator(true), generator(false));
            let captions = fixed.beam_search(config).into_iter();
            for (fixed, growing) in captions.zip(growing.beam_search(config)) {
                assert_eq!(fixed.ids, growing.ids, "seed {seed}, {config:?}");
                // Sums of up to 12 log-probabilities of f32, in another order.
                assert!((fixed.score - growing.score).abs() < 1e-4);
            }
        }
        for sampling in [Sampling::default(), Sampling::default().with_top_k(3)] {
            let sample = |fixed| generator(fixed).sample(&greedy, &sampling, &[1, 2, 3]);
            let ids = |texts: Vec<GeneratedSequence>| -> Vec<Vec<u32>> {
                texts.into_iter().map(|text| text.ids).collect()
            };
            assert_eq!(ids(sample(true)), ids(sample(false)));
        }
    }
}

#[test]
fn captions_have_at_most_as_many_tokens_as_there_are_positions() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let pretrain = captioner(&rig, 5);
    let captioning = pretrain.objectives.as_ref().unwrap();
    let collator = rig.collator();
    let batch = collator.collate(&pretrain.objectives, &rig.examples[..2], &rig.device);
    let output = pretrain.encode(&batch.unwrap()).unwrap();
    let positions = output.parts.text_embedding.max_positions();
    // No token ends a caption.
    let config = GenerationConfig::greedy(rig.tokenizer.special_tokens().cls, u32::MAX, 0);
    for (limit, expected) in [(positions - 1, positions - 1), (positions + 9, positions)] {
        let greedy = config.clone().with_max_new_tokens(limit);
        for fixed in [false, true] {
            let generator = captioning.generator(&output).unwrap();
            let generator = generator.with_static_cache(fixed);
            let captions = [
                generator.beam_search(&greedy),
                generator.beam_search(&greedy.clone().with_num_beams(2)),
                generator.sample(&greedy, &Sampling::default(), &[1, 2]),
            ];
            for caption in captions.iter().flatten() {
                assert_eq!(caption.ids.len(), expected, "limit {limit}, fixed {fixed}");
            }
        }
    }
}

/// The loss of several examples is the mean over their predictions, however they are padded.
#[test]
fn padding_does_not_change_the_losses_of_text_objectives() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let vocab_size = rig.tokenizer.vocab_size();
    let mlm = MlmConfig::default().with_probability(0.4);
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: (
            Some(mlm.init(D_MODEL, vocab_size, &rig.device)),
            Some(CaptioningConfig::default().init(vocab_size, &rig.device)),
        ),
    };
    let pretrain = randomize_weights(pretrain, 6);
    let mut examples = rig.examples[..2].to_vec();
    examples[0].texts = vec!["red circle".into()];
    let collator = rig.collator();
    let collate = |examples: &[Example]| {
        collator
            .collate(&pretrain.objectives, examples, &rig.device)
            .unwrap()
    };
    let losses = |examples: &[Example]| -> Vec<f64> {
        let losses = pretrain.losses(&collate(examples)).unwrap();
        assert!(total(&losses).is_some());
        let losses = losses.iter();
        losses
            .map(|(_, losses)| scalar(losses.terms[0].value.clone()))
            .collect()
    };
    let prediction_counts = |example: &Example| {
        let (mlm, caption) = collate(std::slice::from_ref(example)).targets.remove(0);
        [
            mlm.unwrap().masked.len() as f64,
            caption.unwrap().ids.len() as f64 - 1.0,
        ]
    };
    let together = losses(&examples);
    let alone = examples.iter().map(|e| losses(std::slice::from_ref(e)));
    let alone: Vec<Vec<f64>> = alone.collect();
    let weights: Vec<[f64; 2]> = examples.iter().map(prediction_counts).collect();
    for objective in 0..2 {
        let sum: f64 = (0..2)
            .map(|i| alone[i][objective] * weights[i][objective])
            .sum();
        let mean = sum / (weights[0][objective] + weights[1][objective]);
        // f32 through three layers, in batches of other shapes.
        let difference = (together[objective] - mean).abs();
        assert!(
            difference < 1e-4,
            "{}: {} {mean}",
            objective,
            together[objective]
        );
    }
}
