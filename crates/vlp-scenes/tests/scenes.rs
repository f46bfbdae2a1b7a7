//! Invariants of generated scenes: drawing, labels, and the truth of captions, answers, statements and hypotheses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use proptest::prelude::*;
use vlp_data::{Entailment, Image, Source};
use vlp_scenes::{
    Background, Claim, Color, Scene, Scenes, ScenesConfig, Shape, Size, Split, Texture,
};

fn large_config() -> ScenesConfig {
    ScenesConfig {
        max_objects: 6,
        shapes: Shape::ALL.to_vec(),
        colors: Color::ALL.to_vec(),
        min_extent: 0.18,
        max_extent: 0.36,
        ..ScenesConfig::default()
    }
}

fn small_config() -> ScenesConfig {
    ScenesConfig {
        max_objects: 2,
        shapes: vec![Shape::Circle, Shape::Square],
        colors: vec![Color::Red, Color::Blue],
        sizes: vec![Size::Large],
        textures: vec![Texture::Plain],
        backgrounds: vec![Background::Plain],
        count: 200,
        ..ScenesConfig::default()
    }
}

fn all_sets() -> [Scenes; 3] {
    [ScenesConfig::default(), large_config(), small_config()]
        .map(|config| Scenes::new(config).unwrap())
}

/// Bounding box of the pixels in which two images differ: left, top, right, bottom.
fn changed_box(a: &Image, b: &Image) -> [f32; 4] {
    let mut bbox = [f32::MAX, f32::MAX, 0.0, 0.0];
    for y in 0..a.height {
        for x in 0..a.width {
            let (a, b) = (a.pixel(x, y).unwrap(), b.pixel(x, y).unwrap());
            // Ignores pixels of which less than a fifth is covered.
            if a.iter().zip(b).any(|(a, b)| a.abs_diff(b) > 24) {
                let (x, y) = (x as f32, y as f32);
                bbox = [
                    bbox[0].min(x),
                    bbox[1].min(y),
                    bbox[2].max(x + 1.0),
                    bbox[3].max(y + 1.0),
                ];
            }
        }
    }
    bbox
}

#[test]
fn boxes_are_tight_around_drawn_objects() {
    for scenes in all_sets() {
        for index in 0..60 {
            let scene = scenes.scene(index);
            for object in &scene.objects {
                let with_object = Scene {
                    objects: vec![object.clone()],
                    ..scene.clone()
                };
                let background = Scene {
                    objects: vec![],
                    ..scene.clone()
                };
                let drawn = changed_box(&with_object.draw(96), &background.draw(96));
                let bbox = object.bbox().map(|coordinate| coordinate * 96.0);
                // The last pixels of a narrow tip are hardly covered.
                let tolerance =
                    if matches!(object.shape, Shape::Star | Shape::Triangle | Shape::Diamond) {
                        2.5
                    } else {
                        1.2
                    };
                for (drawn, expected) in drawn.iter().zip(bbox) {
                    assert!(
                        (drawn - expected).abs() < tolerance,
                        "{object:?}: drawn {drawn}, box {expected}"
                    );
                }
            }
        }
    }
}

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
                    let fits = |t: &&vlp_scenes::SceneObject| {
                        *what == "shapes" || t.shape.plural() == *what
                    };
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

#[test]
fn splits_share_no_scenes_or_keys() {
    let mut keys = HashSet::new();
    let mut images = HashSet::new();
    for split in [Split::Train, Split::Val, Split::Test] {
        let config = ScenesConfig {
            split,
            count: 300,
            resolution: 32,
            ..ScenesConfig::default()
        };
        let scenes = Scenes::new(config).unwrap();
        for index in 0..scenes.len() {
            assert!(keys.insert(scenes.key(index)));
            assert!(
                images.insert(scenes.scene(index).draw(32).rgb),
                "{split:?} {index}"
            );
        }
    }
}

#[test]
fn scene_depends_only_on_seed_split_and_index() {
    let scenes = Scenes::new(ScenesConfig::default()).unwrap();
    let larger = Scenes::new(ScenesConfig {
        resolution: 200,
        count: 3,
        ..ScenesConfig::default()
    })
    .unwrap();
    let other = Scenes::new(ScenesConfig {
        seed: 1,
        ..ScenesConfig::default()
    })
    .unwrap();
    for index in 0..50 {
        assert_eq!(scenes.scene(index), larger.scene(index));
        assert_ne!(scenes.scene(index), other.scene(index));
    }
    assert_eq!(scenes.load(7).unwrap(), scenes.load(7).unwrap());
    assert_eq!(
        scenes.load(7).unwrap().captions,
        scenes.captions(7).unwrap()
    );
    assert!(scenes.load(scenes.len()).is_err());
}

#[test]
fn objects_have_one_attribute_of_each_group() {
    let scenes = Scenes::new(large_config()).unwrap();
    let labels = scenes.labels();
    for index in 0..50 {
        let (scene, sample) = (scenes.scene(index), scenes.load(index).unwrap());
        for (scene_object, object) in scene.objects.iter().zip(sample.objects.unwrap()) {
            assert_eq!(labels.classes[object.class], scene_object.shape.word());
            let names: Vec<&str> = object
                .attributes
                .iter()
                .map(|&a| labels.attributes[a].as_str())
                .collect();
            assert_eq!(
                names,
                [
                    scene_object.color.word(),
                    scene_object.size.word(),
                    scene_object.texture.word()
                ]
            );
            for (attribute, group) in object.attributes.iter().zip(scenes.attribute_groups()) {
                assert!(group.contains(attribute));
            }
        }
    }
}

#[test]
fn invalid_configurations_are_rejected_by_field() {
    let base = ScenesConfig::default;
    let cases = [
        (
            ScenesConfig {
                resolution: 8,
                ..base()
            },
            "resolution",
        ),
        (
            ScenesConfig {
                min_objects: 0,
                ..base()
            },
            "min_objects",
        ),
        (
            ScenesConfig {
                max_objects: 7,
                ..base()
            },
            "max_objects",
        ),
        (
            ScenesConfig {
                shapes: vec![],
                ..base()
            },
            "shapes",
        ),
        (
            ScenesConfig {
                min_extent: 0.6,
                max_extent: 0.7,
                ..base()
            },
            "min_extent",
        ),
        (
            ScenesConfig {
                min_extent: f32::NAN,
                ..base()
            },
            "extent",
        ),
        (
            ScenesConfig {
                count: 2_000_000_000,
                ..base()
            },
            "count",
        ),
    ];
    for (config, field) in cases {
        let error = Scenes::new(config).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    let unknown = serde_json::from_str::<ScenesConfig>(r#"{"fonts": ["red"]}"#).unwrap_err();
    assert!(unknown.to_string().contains("fonts"), "{unknown}");
    let json = serde_json::to_string(&large_config()).unwrap();
    assert_eq!(
        serde_json::from_str::<ScenesConfig>(&json).unwrap(),
        large_config()
    );
}

fn subset<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    prop::sample::subsequence(all, 1..=all.len())
}

prop_compose! {
    fn configs()(
        shapes in subset(Shape::ALL), colors in subset(Color::ALL), sizes in subset(Size::ALL),
        textures in subset(Texture::ALL), least in 1usize..=6, more in 0usize..=5,
        small in 0.06f32..0.3, wide in 0.0f32..0.4, seed: u64,
    ) -> ScenesConfig {
        ScenesConfig {
            shapes, colors, sizes, textures, min_objects: least, max_objects: (least + more).min(6),
            min_extent: small, max_extent: small + wide, seed, ..ScenesConfig::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn any_valid_configuration_gives_valid_scenes(config in configs(), scene_index in 0usize..1000) {
        let Ok(scenes) = Scenes::new(config.clone()) else { return Ok(()) };
        let scene = scenes.scene(scene_index);
        prop_assert!((config.min_objects..=config.max_objects).contains(&scene.objects.len()));
        for (index, object) in scene.objects.iter().enumerate() {
            let a = object.bbox();
            prop_assert!(a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= 1.0 && a[3] <= 1.0, "{:?}", a);
            prop_assert!(a[2] > a[0] && a[3] > a[1]);
            // Up to f32 rounding.
            prop_assert!(object.extent >= config.min_extent - 1e-4 && object.extent <= config.max_extent + 1e-4);
            prop_assert!((object.width.max(object.height) - object.extent).abs() < 1e-3);
            for other in &scene.objects[..index] {
                let b = other.bbox();
                let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
                let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
                let union = object.width * object.height + other.width * other.height - width * height;
                prop_assert!(width * height <= 0.1 * union + 1e-4);
            }
        }
        for caption in scenes.scene_captions(&scene) {
            prop_assert!(caption.holds(&scene), "{}", caption.text);
        }
        for hypothesis in scenes.hypotheses(&scene) {
            let entailed = hypothesis.label == Entailment::Entailment;
            prop_assert!(hypothesis.claim.is_none_or(|claim| claim.holds(&scene) == entailed));
        }
    }
}
