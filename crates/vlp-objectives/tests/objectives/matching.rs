//! Image-text matching: which texts are replaced.

use burn::prelude::*;
use vlp_objectives::testing::Rig;
use vlp_objectives::{ItmConfig, Objective, PairBuilder};
use vlp_text::Encoding;

#[test]
fn half_of_the_pairs_are_negative_and_no_negative_is_a_caption_of_the_image() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let itm = ItmConfig::default().init(4, &rig.device);
    let mut negatives = 0;
    for key in 0..2000 {
        let mut example = rig.examples[key as usize % 8].clone();
        example.key = key;
        let captions = example.captions.iter();
        let captions: Vec<Encoding> = captions.map(|c| rig.tokenizer.encode(c, 24)).collect();
        let mut pair = PairBuilder::new(&example, 0, &rig.labels, &rig.tokenizer, 24, 1);
        let matched = itm.prepare(&mut pair).unwrap();
        assert_eq!(matched, pair.matched);
        assert_eq!(
            matched,
            captions.contains(&pair.text),
            "{}",
            example.texts[0]
        );
        if !matched {
            negatives += 1;
            let negative = rig.tokenizer.encode(&example.negative_captions[0], 24);
            assert_eq!(pair.text, negative);
        }
    }
    // 2,000 fair coins: 4 standard deviations.
    let difference = (f64::from(negatives) - 1000.0).abs();
    assert!(difference < 4.0 * 22.4, "{negatives}");
}

#[test]
fn a_pair_without_negative_caption_stays_positive() {
    let rig = Rig::new(&Device::flex()).unwrap();
    let config = ItmConfig::default().with_negative_fraction(1.0);
    let itm = config.init(4, &rig.device);
    let caption = rig.examples[0].captions[2].clone();
    for (negative_caption, matched) in [
        (String::new(), true),
        (caption, true),
        ("no such image".into(), false),
    ] {
        let mut example = rig.examples[0].clone();
        example.negative_captions = vec![negative_caption];
        let mut pair = PairBuilder::new(&example, 0, &rig.labels, &rig.tokenizer, 24, 1);
        assert_eq!(itm.prepare(&mut pair).unwrap(), matched);
    }
}
