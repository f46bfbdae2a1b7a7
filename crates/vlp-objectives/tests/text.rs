//! What masking, matching and captioning do to examples, and what their losses see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use burn::prelude::*;
use common::{host, redraw, scalar};
use vlp_data::Example;
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::testing::{D_MODEL, Probe, Rig};
use vlp_objectives::{
    Captioning, CaptioningConfig, Draft, Inputs, ItmConfig, Mlm, MlmConfig, Objective, Pretrain,
    VisionLanguage, total,
};
use vlp_text::{Encoding, WordPieces};
use vlp_transformer::{GenerationConfig, TextBatch};

const TEXT: &str = "an unbelievably large skateboarder photographs two brownish surfboards near the lighthouse, carefully.";

/// Texts before and after masking, with what was masked, for many examples.
fn masked(
    config: &MlmConfig,
    pieces: &WordPieces,
    count: u64,
) -> Vec<(Encoding, Encoding, MlmTarget)> {
    let rig = Rig::new(&Device::flex()).unwrap();
    let mlm: Mlm = config.init(4, 5, &rig.device);
    let mut example = rig.examples[0].clone();
    example.texts = vec![TEXT.into()];
    let mut draw = |key| {
        example.key = key;
        let mut draft = Draft::new(&example, 0, &rig.labels, pieces, 64, 1);
        let before = draft.text.clone();
        let target = mlm.prepare(&mut draft).unwrap();
        (before, draft.text.clone(), target)
    };
    (0..count).map(&mut draw).collect()
}

#[test]
fn masking_follows_berts_shares() {
    let pieces = WordPieces::bert_uncased();
    let special = pieces.special();
    let (mut all, mut chosen, mut fates) = (0.0, 0.0, [0.0; 3]);
    for (before, after, target) in masked(&MlmConfig::default(), &pieces, 4000) {
        all += before.word_of.iter().flatten().count() as f64;
        chosen += target.masked.len() as f64;
        let places: BTreeSet<usize> = target.masked.iter().map(|m| m.0).collect();
        assert_eq!(places.len(), target.masked.len());
        for (place, &id) in after.ids.iter().enumerate() {
            if !places.contains(&place) {
                assert_eq!(id, before.ids[place], "only chosen places change");
            }
        }
        for &(place, id) in &target.masked {
            assert_eq!(id, before.ids[place], "the label is what stood there");
            assert!(
                before.word_of[place].is_some(),
                "a special piece was chosen"
            );
            let now = after.ids[place];
            assert!(now == special.mask || !special.contains(now), "{now}");
            let fate = match now {
                now if now == special.mask => 0,
                now if now == id => 2,
                _ => 1,
            };
            fates[fate] += 1.0;
        }
    }
    // About 100,000 pieces and 15,000 chosen ones: 4 standard deviations of each share.
    let within = |found: f64, of: f64, share: f64| {
        let deviation = (share * (1.0 - share) / of).sqrt();
        let found = found / of;
        assert!(
            (found - share).abs() < 4.0 * deviation,
            "{found} instead of {share} of {of}"
        );
    };
    within(chosen, all, 0.15);
    within(fates[0], chosen, 0.8);
    within(fates[1], chosen, 0.1);
    within(fates[2], chosen, 0.1);
}

#[test]
fn whole_words_are_chosen_with_all_their_pieces() {
    let pieces = WordPieces::bert_uncased();
    let config = MlmConfig {
        whole_word: true,
        ..MlmConfig::default()
    };
    let mut long = 0;
    let (mut words, mut chosen) = (0.0, 0.0);
    for (before, _, target) in masked(&config, &pieces, 1000) {
        let places: BTreeSet<usize> = target.masked.iter().map(|m| m.0).collect();
        for word in before.words() {
            let hit = word.clone().filter(|place| places.contains(place)).count();
            assert!(
                hit == 0 || hit == word.len(),
                "{hit} of {} pieces",
                word.len()
            );
            long += usize::from(hit > 1);
            words += 1.0;
            chosen += f64::from(u8::from(hit > 0));
        }
    }
    assert!(long > 100, "words of several pieces: {long}");
    let share: f64 = chosen / words;
    assert!(
        (share - 0.15).abs() < 4.0 * (0.15 * 0.85 / words).sqrt(),
        "{share}"
    );
}

#[test]
fn at_least_one_means_every_text() {
    let pieces = WordPieces::bert_uncased();
    let config = MlmConfig {
        probability: 0.0,
        at_least_one: true,
        ..MlmConfig::default()
    };
    let mut places = BTreeSet::new();
    for (_, _, target) in masked(&config, &pieces, 300) {
        assert_eq!(target.masked.len(), 1);
        places.insert(target.masked[0].0);
    }
    assert!(places.len() > 10, "any piece may be the one: {places:?}");
    let never = MlmConfig {
        at_least_one: false,
        ..config
    };
    assert!(
        masked(&never, &pieces, 20)
            .iter()
            .all(|(a, b, t)| a == b && t.masked.is_empty())
    );
}

#[test]
fn the_one_word_is_whole_too() {
    let pieces = WordPieces::bert_uncased();
    let config = MlmConfig {
        probability: 0.0,
        at_least_one: true,
        whole_word: true,
        ..MlmConfig::default()
    };
    let mut longest = 0;
    for (before, _, target) in masked(&config, &pieces, 100) {
        let word = before
            .words()
            .into_iter()
            .find(|word| word.contains(&target.masked[0].0));
        let places: Vec<usize> = target.masked.iter().map(|m| m.0).collect();
        assert_eq!(places, word.unwrap().collect::<Vec<_>>());
        longest = longest.max(places.len());
    }
    assert!(longest > 1);
}

#[test]
fn masks_change_from_epoch_to_epoch_and_with_nothing_else() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let mlm = MlmConfig {
        probability: 0.5,
        ..MlmConfig::default()
    }
    .init(4, 5, &rig.device);
    let draw = |epoch, seed| {
        let example = Example {
            epoch,
            ..rig.examples[0].clone()
        };
        let mut draft = Draft::new(&example, 0, &rig.labels, &rig.pieces, 24, seed);
        mlm.prepare(&mut draft).unwrap().masked
    };
    assert_eq!(draw(1, 1), draw(1, 1));
    let drawn: BTreeSet<_> = (0..8)
        .flat_map(|i| [draw(i, 1), draw(1, 100 + i)])
        .collect();
    assert!(drawn.len() > 8, "{}", drawn.len());
}

#[test]
fn mismatched_texts_can_be_left_without_labels_but_not_without_masks() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = MlmConfig {
        probability: 1.0,
        skip_mismatched: true,
        ..MlmConfig::default()
    };
    let mlm = config.init(4, 5, &rig.device);
    for matched in [true, false] {
        let mut draft = Draft::new(&rig.examples[0], 0, &rig.labels, &rig.pieces, 24, 1);
        draft.matched = matched;
        let target = mlm.prepare(&mut draft).unwrap();
        assert_eq!(target.masked.is_empty(), !matched);
        let mask = rig.pieces.special().mask;
        assert!(
            draft.text.ids.contains(&mask),
            "an unmasked text would tell the pair apart"
        );
    }
}

#[test]
fn half_of_the_pairs_are_mismatched_and_never_by_an_own_caption() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let itm = ItmConfig::default().init(4, &rig.device);
    let mut mismatched = 0;
    for key in 0..2000 {
        let mut example = rig.examples[key as usize % 8].clone();
        example.key = key;
        let own: Vec<Encoding> = example
            .captions
            .iter()
            .map(|c| rig.pieces.encode(c, 24))
            .collect();
        let mut draft = Draft::new(&example, 0, &rig.labels, &rig.pieces, 24, 1);
        let label = itm.prepare(&mut draft).unwrap();
        assert_eq!(label, draft.matched);
        assert_eq!(label, own.contains(&draft.text), "{}", example.texts[0]);
        if !label {
            mismatched += 1;
            assert_eq!(draft.text, rig.pieces.encode(&example.distractors[0], 24));
        }
    }
    // 2,000 fair coins: 4 standard deviations.
    assert!(
        (mismatched as f64 - 1000.0).abs() < 4.0 * 22.4,
        "{mismatched}"
    );
}

#[test]
fn a_pair_without_a_foreign_text_stays_matched() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let itm = ItmConfig {
        mismatch: 1.0,
        ..ItmConfig::default()
    }
    .init(4, &rig.device);
    let mut example = rig.examples[0].clone();
    for distractor in [String::new(), example.captions[2].clone()] {
        example.distractors = vec![distractor];
        let mut draft = Draft::new(&example, 0, &rig.labels, &rig.pieces, 24, 1);
        assert!(itm.prepare(&mut draft).unwrap());
    }
    example.distractors = vec!["no such picture".into()];
    let mut draft = Draft::new(&example, 0, &rig.labels, &rig.pieces, 24, 1);
    assert!(!itm.prepare(&mut draft).unwrap());
}

fn captioner(rig: &Rig, seed: u64) -> Pretrain<Probe, Option<Captioning>> {
    let config = CaptioningConfig::default();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: Some(config.init(rig.pieces.vocab_size(), &rig.device)),
    };
    redraw(pretrain, seed)
}

#[test]
fn a_caption_logit_never_sees_a_later_token_nor_the_text() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let pretrain = captioner(&rig, 5);
    let captioning = pretrain.objectives.as_ref().unwrap();
    let batch = rig
        .batcher()
        .batch(&pretrain.objectives, &rig.examples[..2], &rig.device)
        .unwrap();
    let row = |last: u32| vec![2, 9, 11, 13, last];
    let logits = |last: u32, text: &TextBatch| {
        let encoded = pretrain
            .model
            .encode(
                &Inputs {
                    text,
                    ..batch.inputs()
                },
                captioning.needs(),
            )
            .unwrap();
        let rows = [row(last), row(last)];
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        captioning
            .logits(&encoded, &TextBatch::pack(&rows, 0, &rig.device))
            .unwrap()
    };
    let (a, b) = (logits(20, &batch.text), logits(21, &batch.text));
    let early = |t: &Tensor<3>| host(t.clone().slice(s![.., 0..4]));
    let last = |t: &Tensor<3>| host(t.clone().slice(s![.., 4..5]));
    assert_eq!(early(&a), early(&b));
    assert_ne!(last(&a), last(&b));
    let other = TextBatch::pack(&[&[2, 40, 3], &[2, 41, 3]], 0, &rig.device);
    assert_eq!(
        host(a),
        host(logits(20, &other)),
        "the caption is read off the image-only pass"
    );
}

#[test]
fn generated_captions_are_the_best_next_tokens_of_the_logits() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let special = rig.pieces.special();
    for seed in 0..4 {
        let pretrain = captioner(&rig, seed);
        let captioning = pretrain.objectives.as_ref().unwrap();
        let batch = rig
            .batcher()
            .batch(&pretrain.objectives, &rig.examples[..3], &rig.device)
            .unwrap();
        let encoded = pretrain
            .model
            .encode(&batch.inputs(), captioning.needs())
            .unwrap();
        let config = GenerationConfig::greedy(special.cls, special.sep, 12);
        let found = captioning.generate(&encoded, &config).unwrap();
        for (image, found) in found.iter().enumerate() {
            let mut ids = vec![special.cls];
            while ids.len() <= 12 {
                let rows = vec![ids.as_slice(); 3];
                let logits = captioning
                    .logits(&encoded, &TextBatch::pack(&rows, 0, &rig.device))
                    .unwrap();
                let best = logits
                    .slice(s![image..image + 1, ids.len() - 1..ids.len()])
                    .argmax(2);
                let best = best.into_data().iter::<i64>().next().unwrap() as u32;
                if best == special.sep {
                    break;
                }
                ids.push(best);
            }
            assert_eq!(found.ids, ids[1..], "seed {seed}, image {image}");
        }
        let wide = GenerationConfig { beams: 3, ..config };
        assert_eq!(captioning.generate(&encoded, &wide).unwrap().len(), 3);
    }
}

/// Every objective's loss of several examples is the mean over what they ask for, however they are padded.
#[test]
fn padding_by_longer_neighbours_changes_no_loss() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let vocab = rig.pieces.vocab_size();
    let pretrain = Pretrain {
        model: rig.model().unwrap(),
        objectives: (
            Some(
                MlmConfig {
                    probability: 0.4,
                    ..MlmConfig::default()
                }
                .init(D_MODEL, vocab, &rig.device),
            ),
            Some(CaptioningConfig::default().init(vocab, &rig.device)),
        ),
    };
    let pretrain = redraw(pretrain, 6);
    let mut examples = rig.examples[..2].to_vec();
    examples[0].texts = vec!["red circle".into()];
    let batcher = rig.batcher();
    let batch = |examples: &[Example]| {
        batcher
            .batch(&pretrain.objectives, examples, &rig.device)
            .unwrap()
    };
    let values = |examples: &[Example]| -> Vec<f64> {
        let losses = pretrain.losses(&batch(examples)).unwrap();
        losses
            .iter()
            .map(|(_, l)| scalar(l.terms[0].2.clone()))
            .collect()
    };
    let counts = |example: &Example| {
        let (mlm, caption) = batch(std::slice::from_ref(example)).targets.remove(0);
        [
            mlm.unwrap().masked.len() as f64,
            caption.unwrap().ids.len() as f64 - 1.0,
        ]
    };
    let together = values(&examples);
    let alone: Vec<Vec<f64>> = examples
        .iter()
        .map(|e| values(std::slice::from_ref(e)))
        .collect();
    let weights: Vec<[f64; 2]> = examples.iter().map(counts).collect();
    for term in 0..2 {
        let sum: f64 = (0..2).map(|i| alone[i][term] * weights[i][term]).sum();
        let want = sum / (weights[0][term] + weights[1][term]);
        // f32 through three layers, in batches of another shape.
        assert!(
            (together[term] - want).abs() < 1e-4,
            "term {term}: {} {want}",
            together[term]
        );
    }
    assert!(total(&pretrain.losses(&batch(&examples)).unwrap()).is_some());
}

#[test]
fn the_best_pieces_of_a_mask_are_probabilities_in_order() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = MlmConfig {
        probability: 0.4,
        ..MlmConfig::default()
    };
    let mlm = config.init(D_MODEL, rig.pieces.vocab_size(), &rig.device);
    let (model, mlm) = redraw((rig.model().unwrap(), mlm), 4);
    let batch = rig
        .batcher()
        .batch(&Some(mlm.clone()), &rig.examples, &rig.device)
        .unwrap();
    let targets: Vec<MlmTarget> = batch.targets.iter().map(|t| t.clone().unwrap()).collect();
    let encoded = model.encode(&batch.inputs(), mlm.needs()).unwrap();
    for (found, target) in mlm
        .predict(&encoded, &targets, 4)
        .unwrap()
        .iter()
        .zip(&targets)
    {
        assert_eq!(found.len(), target.masked.len());
        for best in found {
            assert_eq!(best.len(), 4);
            assert!(best.windows(2).all(|w| w[0].1 >= w[1].1));
            assert!(best.iter().map(|b| b.1).sum::<f32>() <= 1.0 + 1e-5);
        }
    }
    let none = vec![MlmTarget::default(); 8];
    assert_eq!(
        mlm.predict(&encoded, &none, 4).unwrap(),
        vec![Vec::<Vec<(u32, f32)>>::new(); 8]
    );
}
