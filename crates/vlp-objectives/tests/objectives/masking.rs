//! Masked language modeling: which tokens are masked, and what is predicted of them.

use std::collections::BTreeSet;

use crate::common::randomize_weights;
use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::mlm::MlmTarget;
use vlp_objectives::testing::{D_MODEL, Rig};
use vlp_objectives::{Mlm, MlmConfig, Objective, PairBuilder, VisionLanguage};
use vlp_text::{Encoding, WordPieceTokenizer};

const TEXT: &str = "an unbelievably large skateboarder photographs two brownish surfboards near the lighthouse, carefully.";

/// A text before and after masking.
struct Masked {
    before: Encoding,
    after: Encoding,
    target: MlmTarget,
}

impl Masked {
    fn positions(&self) -> BTreeSet<usize> {
        self.target
            .masked
            .iter()
            .map(|&(position, _)| position)
            .collect()
    }
}

/// Masks the same text for `count` examples.
fn mask(config: &MlmConfig, tokenizer: &WordPieceTokenizer, count: u64) -> Vec<Masked> {
    let rig = Rig::new(&Device::flex()).unwrap();
    let mlm: Mlm = config.init(4, 5, &rig.device);
    let mut example = rig.examples[0].clone();
    example.texts = vec![TEXT.into()];
    let mut mask_example = |key| {
        example.key = key;
        let mut pair = PairBuilder::new(&example, 0, &rig.labels, tokenizer, 64, 1);
        let before = pair.text.clone();
        let target = mlm.prepare(&mut pair).unwrap();
        Masked {
            before,
            after: pair.text,
            target,
        }
    };
    (0..count).map(&mut mask_example).collect()
}

#[test]
fn masking_follows_the_fractions_of_bert() {
    let tokenizer = WordPieceTokenizer::bert_uncased();
    let special = tokenizer.special_tokens();
    let (mut tokens, mut chosen) = (0.0, 0.0);
    let (mut hidden, mut replaced, mut unchanged) = (0.0, 0.0, 0.0);
    for masked in mask(&MlmConfig::default(), &tokenizer, 4000) {
        tokens += masked.before.word_ids.iter().flatten().count() as f64;
        chosen += masked.target.masked.len() as f64;
        let positions = masked.positions();
        assert_eq!(positions.len(), masked.target.masked.len());
        for (position, &id) in masked.after.ids.iter().enumerate() {
            if !positions.contains(&position) {
                assert_eq!(id, masked.before.ids[position], "a token was not chosen");
            }
        }
        for &(position, label) in &masked.target.masked {
            assert_eq!(label, masked.before.ids[position]);
            let is_word = masked.before.word_ids[position].is_some();
            assert!(is_word, "a special token was chosen");
            match masked.after.ids[position] {
                id if id == special.mask => hidden += 1.0,
                id if id == label => unchanged += 1.0,
                id => {
                    assert!(!special.contains(id), "{id}");
                    replaced += 1.0;
                }
            }
        }
    }
    // About 100,000 tokens of which 15,000 are chosen: 4 standard deviations of each fraction.
    let assert_fraction = |count: f64, total: f64, expected: f64| {
        let deviation = (expected * (1.0 - expected) / total).sqrt();
        let fraction = count / total;
        assert!(
            (fraction - expected).abs() < 4.0 * deviation,
            "{fraction} of {total} instead of {expected}"
        );
    };
    assert_fraction(chosen, tokens, 0.15);
    assert_fraction(hidden, chosen, 0.8);
    assert_fraction(replaced, chosen, 0.1);
    assert_fraction(unchanged, chosen, 0.1);
}

#[test]
fn whole_words_are_chosen_with_all_their_tokens() {
    let tokenizer = WordPieceTokenizer::bert_uncased();
    let config = MlmConfig::default().with_whole_word(true);
    let mut long_words = 0;
    let (mut words, mut chosen) = (0.0, 0.0);
    for masked in mask(&config, &tokenizer, 1000) {
        let positions = masked.positions();
        for word in masked.before.word_ranges() {
            let count = word.clone().filter(|p| positions.contains(p)).count();
            assert!(
                count == 0 || count == word.len(),
                "{count} of {} tokens",
                word.len()
            );
            long_words += usize::from(count > 1);
            words += 1.0;
            chosen += f64::from(u8::from(count > 0));
        }
    }
    assert!(long_words > 100, "words of several tokens: {long_words}");
    let fraction: f64 = chosen / words;
    assert!(
        (fraction - 0.15).abs() < 4.0 * (0.15 * 0.85 / words).sqrt(),
        "{fraction}"
    );
}

#[test]
fn at_least_one_token_of_every_text_is_chosen() {
    let tokenizer = WordPieceTokenizer::bert_uncased();
    let config = MlmConfig::default()
        .with_probability(0.0)
        .with_at_least_one(true);
    let mut positions = BTreeSet::new();
    for masked in mask(&config, &tokenizer, 300) {
        assert_eq!(masked.target.masked.len(), 1);
        positions.extend(masked.positions());
    }
    assert!(positions.len() > 10, "{positions:?}");
    let config = config.with_at_least_one(false);
    for masked in mask(&config, &tokenizer, 20) {
        assert_eq!(masked.before, masked.after);
        assert!(masked.target.masked.is_empty());
    }
}

#[test]
fn at_least_one_whole_word_is_chosen() {
    let tokenizer = WordPieceTokenizer::bert_uncased();
    let config = MlmConfig::default()
        .with_probability(0.0)
        .with_at_least_one(true)
        .with_whole_word(true);
    let mut longest = 0;
    for masked in mask(&config, &tokenizer, 100) {
        let positions: Vec<usize> = masked.positions().into_iter().collect();
        let mut words = masked.before.word_ranges().into_iter();
        let word = words.find(|word| word.contains(&positions[0])).unwrap();
        assert_eq!(positions, word.collect::<Vec<_>>());
        longest = longest.max(positions.len());
    }
    assert!(longest > 1);
}

#[test]
fn masks_depend_on_seed_and_epoch() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = MlmConfig::default().with_probability(0.5);
    let mlm = config.init(4, 5, &rig.device);
    let masked = |epoch, seed| {
        let example = Example {
            epoch,
            ..rig.examples[0].clone()
        };
        let mut pair = PairBuilder::new(&example, 0, &rig.labels, &rig.tokenizer, 24, seed);
        mlm.prepare(&mut pair).unwrap().masked
    };
    assert_eq!(masked(1, 1), masked(1, 1));
    let different: BTreeSet<_> = (0..8)
        .flat_map(|i| [masked(i, 1), masked(1, 100 + i)])
        .collect();
    assert!(different.len() > 8, "{}", different.len());
}

#[test]
fn skipped_negatives_are_masked_but_have_no_labels() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = MlmConfig::default()
        .with_probability(1.0)
        .with_skip_negatives(true);
    let mlm = config.init(4, 5, &rig.device);
    for matched in [true, false] {
        let example = &rig.examples[0];
        let mut pair = PairBuilder::new(example, 0, &rig.labels, &rig.tokenizer, 24, 1);
        pair.matched = matched;
        let target = mlm.prepare(&mut pair).unwrap();
        assert_eq!(target.masked.is_empty(), !matched);
        // An unmasked text would tell that the pair is negative.
        assert!(pair.text.ids.contains(&rig.tokenizer.special_tokens().mask));
    }
}

#[test]
fn predictions_are_probabilities_in_descending_order() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = MlmConfig::default().with_probability(0.4);
    let mlm = config.init(D_MODEL, rig.tokenizer.vocab_size(), &rig.device);
    let (model, mlm) = randomize_weights((rig.model().unwrap(), mlm), 4);
    let batch = rig
        .collator()
        .collate(&Some(mlm.clone()), &rig.examples, &rig.device)
        .unwrap();
    let targets: Vec<&MlmTarget> = batch.targets.iter().flatten().collect();
    let output = model.encode(&batch.inputs(), mlm.passes()).unwrap();
    let predictions = mlm.predict(&output, &targets, 4);
    for (predictions, target) in predictions.iter().zip(&targets) {
        assert_eq!(predictions.len(), target.masked.len());
        for top_tokens in predictions {
            assert_eq!(top_tokens.len(), 4);
            assert!(top_tokens.windows(2).all(|pair| pair[0].1 >= pair[1].1));
            let sum: f32 = top_tokens.iter().map(|&(_, probability)| probability).sum();
            assert!(sum <= 1.0 + 1e-5);
        }
    }
    let none = mlm.predict(&output, &targets, 0);
    let masked: Vec<usize> = targets.iter().map(|target| target.masked.len()).collect();
    assert_eq!(none.iter().map(Vec::len).collect::<Vec<_>>(), masked);
    assert!(none.iter().flatten().all(Vec::is_empty));
    let unmasked = MlmTarget::default();
    let predictions = mlm.predict(&output, &[&unmasked; 8], 4);
    assert_eq!(predictions, vec![Vec::<Vec<(u32, f32)>>::new(); 8]);
}
