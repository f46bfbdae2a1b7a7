//! Caption metrics against the official tool (`scripts/metrics/caption_fixture.py`,
//! `scripts/metrics/captions_val2017.py`), and their invariants.

use proptest::prelude::*;
use serde::Deserialize;
use vlp_eval::EvalError;
use vlp_eval::caption::{
    CaptionPair, CaptionScores, TokenizedPair, bleu, caption_scores, cider, ptb, rouge,
};

/// The official tool sums in a different order.
const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Record {
    hypothesis: String,
    references: Vec<String>,
}

#[derive(Deserialize)]
struct Scores {
    bleu: [f64; 4],
    rouge_l: f64,
    cider_d: f64,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    pairs: Vec<Record>,
    scores: Scores,
}

fn score(records: &[Record]) -> CaptionScores {
    let pairs: Vec<CaptionPair<'_>> = records
        .iter()
        .map(|r| CaptionPair {
            hypothesis: &r.hypothesis,
            references: &r.references,
        })
        .collect();
    caption_scores(&pairs).unwrap()
}

fn assert_equal(name: &str, ours: &CaptionScores, theirs: &Scores) {
    let list = |b: [f64; 4], r, c| [b[0], b[1], b[2], b[3], r, c];
    let ours = list(ours.bleu, ours.rouge_l, ours.cider_d);
    let theirs = list(theirs.bleu, theirs.rouge_l, theirs.cider_d);
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!((ours - theirs).abs() < TOLERANCE, "{name}: {ours} {theirs}");
    }
}

#[test]
fn tokens_equal_the_official_tool() {
    let lines: Vec<(String, String)> =
        serde_json::from_str(include_str!("../fixtures/ptb_tokens.json")).unwrap();
    let ours = ptb::tokenize_all(lines.iter().map(|l| l.0.as_str()));
    for ((line, theirs), ours) in lines.iter().zip(ours) {
        assert_eq!(&ours.join(" "), theirs, "{line}");
    }
}

#[test]
fn scores_equal_the_official_tool() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../fixtures/caption_scores.json")).unwrap();
    for case in cases {
        assert_equal(&case.name, &score(&case.pairs), &case.scores);
    }
}

/// The first caption of each image of COCO val2017 against the others. The expected scores are from
/// `captions_val2017.py`.
#[test]
fn val2017_equals_the_official_tool() {
    #[derive(Deserialize)]
    struct File {
        annotations: Vec<Annotation>,
    }
    #[derive(Deserialize)]
    struct Annotation {
        image_id: u64,
        caption: String,
    }
    let Ok(path) = std::env::var("VLP_CAPTIONS") else {
        eprintln!("SKIPPED: VLP_CAPTIONS is not set to the path of COCO's captions_val2017.json");
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let file: File = serde_json::from_str(&text).unwrap();
    let mut order: Vec<u64> = Vec::new();
    let mut images = std::collections::HashMap::<u64, Record>::new();
    for Annotation { image_id, caption } in file.annotations {
        if let Some(record) = images.get_mut(&image_id) {
            record.references.push(caption);
        } else {
            order.push(image_id);
            images.insert(
                image_id,
                Record {
                    hypothesis: caption,
                    references: Vec::new(),
                },
            );
        }
    }
    let records: Vec<Record> = order.iter().filter_map(|id| images.remove(id)).collect();
    assert_eq!(records.len(), 5000);
    let official = Scores {
        bleu: [
            0.634_470_570_155_205_4,
            0.437_379_906_511_372_3,
            0.294_128_687_029_853_23,
            0.195_538_517_925_048_92,
        ],
        rouge_l: 0.471_758_358_195_449_9,
        cider_d: 0.886_544_201_761_606,
    };
    assert_equal("val2017", &score(&records), &official);
}

#[test]
fn errors_name_the_pair() {
    assert!(matches!(caption_scores(&[]), Err(EvalError::Empty { .. })));
    let references = ["a cat".to_owned()];
    let valid = CaptionPair {
        hypothesis: "a cat",
        references: &references,
    };
    let invalid = CaptionPair {
        hypothesis: "a cat",
        references: &[],
    };
    let error = caption_scores(&[valid, invalid]).unwrap_err();
    assert_eq!(error, EvalError::NoReferences { index: 1 });
    assert_eq!(
        error.to_string(),
        "caption pair 1: no reference caption: expected at least one"
    );
}

fn caption() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "cat", "on", "the", "mat", "red"]),
        4..12,
    )
    .prop_map(|words| words.into_iter().map(str::to_owned).collect())
}

proptest! {
    #[test]
    fn caption_equal_to_its_reference_scores_one(captions in prop::collection::vec(caption(), 2..8)) {
        let pairs: Vec<TokenizedPair> = captions
            .into_iter()
            .map(|c| TokenizedPair { hypothesis: c.clone(), references: vec![c] })
            .collect();
        // The smoothing of BLEU adds up to 1e-9 to a count of at least 2.
        for b in bleu::bleu(&pairs).unwrap() {
            prop_assert!((b - 1.0).abs() < 1e-8);
        }
        prop_assert!((rouge::rouge_l(&pairs).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn scores_are_in_range(
        captions in prop::collection::vec((caption(), prop::collection::vec(caption(), 1..4)), 1..8),
    ) {
        let pairs: Vec<TokenizedPair> = captions
            .into_iter()
            .map(|(hypothesis, references)| TokenizedPair { hypothesis, references })
            .collect();
        prop_assert!(bleu::bleu(&pairs).unwrap().iter().all(|b| (0.0..=1.0).contains(b)));
        prop_assert!((0.0..=1.0 + 1e-12).contains(&rouge::rouge_l(&pairs).unwrap()));
        for score in cider::pair_cider_d(&pairs).unwrap() {
            prop_assert!((0.0..=10.0 + 1e-9).contains(&score));
        }
    }

    #[test]
    fn tokens_have_no_white_space(text in "\\PC{0,40}", other in "[ -~\n\t]{0,40}") {
        for token in ptb::tokenize(&text).iter().chain(&ptb::tokenize(&other)) {
            prop_assert!(!token.is_empty() && !token.contains([' ', '\n']));
            // As in the official tool, markup may contain tabs.
            prop_assert!(token.starts_with('<') || !token.contains('\t'));
        }
    }
}
