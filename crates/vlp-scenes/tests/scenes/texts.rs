//! The truth of captions, answers, statements and hypotheses.

use std::collections::HashSet;

use crate::common::{all_sets, large_config};
use vlp_data::{Entailment, Source};
use vlp_scenes::{Claim, SceneObject, Scenes};

#[test]
fn captions_are_true_and_short() {
    let tokenizer = vlp_text::WordPieceTokenizer::scenes();
    for scenes in all_sets() {
        for index in 0..1500 {
            let scene = scenes.scene(index);
            let captions = scenes.scene_captions(&scene);
            assert_eq!(captions.len(), 5, "{scene:?}");
            assert_eq!(
                captions
                    .iter()
                    .map(|c| &c.text)
                    .collect::<HashSet<_>>()
                    .len(),
                5
            );
            for caption in captions {
                assert!(caption.holds(&scene), "{}: {scene:?}", caption.text);
                let encoding = tokenizer.encode(&caption.text, 64);
                let words = caption.text.split(' ').count();
                assert_eq!(
                    encoding.len(),
                    words + 2,
                    "a word of several tokens: {}",
                    caption.text
                );
                assert!(
                    !encoding.ids.contains(&tokenizer.special_tokens().unk),
                    "{}",
                    caption.text
                );
                assert!(
                    encoding.len() <= 14,
                    "{} tokens: {}",
                    encoding.len(),
                    caption.text
                );
            }
        }
    }
}

#[test]
fn questions_have_ten_answers_and_balanced_yes_no() {
    let tokenizer = vlp_text::WordPieceTokenizer::scenes();
    for scenes in all_sets() {
        let (mut yes, mut no, mut dissent, mut total) = (0, 0, 0, 0);
        for index in 0..1000 {
            let scene = scenes.scene(index);
            let questions = scenes.questions(&scene);
            assert!(questions.len() >= 2);
            for question in questions {
                assert_eq!(question.answers.len(), 10);
                let right = question
                    .answers
                    .iter()
                    .filter(|a| **a == question.answer)
                    .count();
                assert!(right >= 7, "{question:?}");
                dissent += 10 - right;
                total += 10;
                yes += usize::from(question.answer == "yes");
                no += usize::from(question.answer == "no");
                assert!(
                    question.text.starts_with(question.question_type)
                        && question.text.ends_with('?')
                );
                for text in [&question.text, &question.answer] {
                    assert!(
                        !tokenizer
                            .encode(text, 64)
                            .ids
                            .contains(&tokenizer.special_tokens().unk),
                        "{text}"
                    );
                }
                let encoding = tokenizer.encode(&question.text, 64);
                assert_eq!(
                    encoding.word_ranges().len(),
                    encoding.len() - 2,
                    "{}",
                    question.text
                );
            }
        }
        let balance = yes as f64 / (yes + no) as f64;
        // Five standard deviations of 1,000 fair draws are 0.08.
        assert!((balance - 0.5).abs() < 0.08, "{balance}");
        let dissent_rate = dissent as f64 / total as f64;
        assert!((0.04..0.08).contains(&dissent_rate), "{dissent_rate}");
    }
}

/// An independent evaluation of "is there a COLOR SHAPE?" and "how many SHAPEs are there?".
#[test]
fn answers_match_the_scene() {
    let scenes = Scenes::new(large_config()).unwrap();
    let mut checked = 0;
    for index in 0..400 {
        let scene = scenes.scene(index);
        for question in scenes.questions(&scene) {
            let words: Vec<&str> = question.text.trim_end_matches('?').split(' ').collect();
            let answer = match words.as_slice() {
                ["is", "there", _, color, shape] => {
                    let there = scene
                        .objects
                        .iter()
                        .any(|t| t.color.word() == *color && t.shape.word() == *shape);
                    if there { "yes".into() } else { "no".into() }
                }
                ["how", "many", what, "are", "there"] => {
                    let fits = |t: &&SceneObject| *what == "shapes" || t.shape.plural() == *what;
                    scene.objects.iter().filter(fits).count().to_string()
                }
                ["what", "color", "is", "the", shape] => {
                    let object = scene
                        .objects
                        .iter()
                        .find(|t| t.shape.word() == *shape)
                        .unwrap();
                    object.color.word().to_owned()
                }
                _ => continue,
            };
            assert_eq!(question.answer, answer, "{}: {scene:?}", question.text);
            checked += 1;
        }
    }
    assert!(checked > 400, "{checked}");
}

#[test]
fn each_statement_is_true_of_one_pair_and_false_of_another() {
    let tokenizer = vlp_text::WordPieceTokenizer::scenes();
    for scenes in all_sets() {
        let mut count = 0;
        for set in 0..150 {
            let Some([first, second]) = scenes.statements(set) else {
                continue;
            };
            count += 1;
            assert_eq!(first.text, second.text);
            assert_ne!(first.label, second.label);
            assert_eq!(
                (first.set, second.set, first.pair, second.pair),
                (set, set, 0, 1)
            );
            for statement in [&first, &second] {
                assert_ne!(statement.left, statement.right);
                assert!(statement.left.max(statement.right) < scenes.len());
                let encoding = tokenizer.encode(&statement.text, 64);
                assert_eq!(
                    encoding.word_ranges().len(),
                    encoding.len() - 2,
                    "{}",
                    statement.text
                );
                // An independent evaluation of one kind of statement.
                if let Some(rest) = statement.text.strip_prefix("both images contain ") {
                    let what = rest.split(' ').next_back().unwrap();
                    let has = |index: usize| {
                        scenes.scene(index).objects.iter().any(|t| {
                            if what == "shape" {
                                rest.contains(t.color.word())
                            } else {
                                t.shape.word() == what
                            }
                        })
                    };
                    assert_eq!(
                        has(statement.left) && has(statement.right),
                        statement.label,
                        "{statement:?}"
                    );
                }
            }
        }
        assert!(count >= 145, "{count} of 150");
    }
}

#[test]
fn hypothesis_labels_match_the_scene() {
    let tokenizer = vlp_text::WordPieceTokenizer::scenes();
    for scenes in all_sets() {
        for index in 0..600 {
            let scene = scenes.scene(index);
            let hypotheses = scenes.hypotheses(&scene);
            let labels = hypotheses.clone().map(|h| h.label);
            assert_eq!(
                labels,
                [
                    Entailment::Contradiction,
                    Entailment::Neutral,
                    Entailment::Entailment
                ]
            );
            for hypothesis in hypotheses {
                let holds = hypothesis
                    .claim
                    .as_ref()
                    .map(|claim: &Claim| claim.holds(&scene));
                let expected = match hypothesis.label {
                    Entailment::Contradiction => Some(false),
                    Entailment::Neutral => None,
                    Entailment::Entailment => Some(true),
                };
                assert_eq!(holds, expected, "{}: {scene:?}", hypothesis.text);
                let agree = hypothesis
                    .annotator_labels
                    .iter()
                    .filter(|l| **l == hypothesis.label)
                    .count();
                assert!(agree >= 4);
                let encoding = tokenizer.encode(&hypothesis.text, 64);
                assert_eq!(
                    encoding.word_ranges().len(),
                    encoding.len() - 2,
                    "{}",
                    hypothesis.text
                );
            }
        }
    }
}
