//! Invariants of generated scenes: what is drawn, and that everything said of it is so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use proptest::prelude::*;
use vlp_data::{
    Picture, Scenes, ScenesConfig, Source, Split,
    scenes::{Background, Claim, Colour, Entailment, Scene, Shape, Size, Texture},
};

fn full() -> ScenesConfig {
    ScenesConfig {
        max_objects: 6,
        shapes: Shape::ALL.to_vec(),
        colours: Colour::ALL.to_vec(),
        min_extent: 0.18,
        max_extent: 0.36,
        ..ScenesConfig::default()
    }
}

fn tiny() -> ScenesConfig {
    ScenesConfig {
        max_objects: 2,
        shapes: vec![Shape::Circle, Shape::Square],
        colours: vec![Colour::Red, Colour::Blue],
        sizes: vec![Size::Large],
        textures: vec![Texture::Plain],
        backgrounds: vec![Background::Plain],
        count: 200,
        ..ScenesConfig::default()
    }
}

fn all() -> [Scenes; 3] {
    [ScenesConfig::default(), full(), tiny()].map(|config| Scenes::new(config).unwrap())
}

/// Columns and rows in which two pictures differ: left, top, right, bottom.
fn changed(a: &Picture, b: &Picture) -> [f32; 4] {
    let mut found = [f32::MAX, f32::MAX, 0.0, 0.0];
    for y in 0..a.height {
        for x in 0..a.width {
            let (a, b) = (a.pixel(x, y).unwrap(), b.pixel(x, y).unwrap());
            // Less than a fifth of a pixel covered is not to be seen.
            if a.iter().zip(b).any(|(a, b)| a.abs_diff(b) > 24) {
                let (x, y) = (x as f32, y as f32);
                found = [
                    found[0].min(x),
                    found[1].min(y),
                    found[2].max(x + 1.0),
                    found[3].max(y + 1.0),
                ];
            }
        }
    }
    found
}

#[test]
fn boxes_are_tight_about_what_is_drawn() {
    for scenes in all() {
        for index in 0..60 {
            let scene = scenes.scene(index);
            for thing in &scene.things {
                let alone = Scene {
                    things: vec![thing.clone()],
                    ..scene.clone()
                };
                let empty = Scene {
                    things: vec![],
                    ..scene.clone()
                };
                let drawn = changed(&alone.draw(96), &empty.draw(96));
                let bbox = thing.bbox().map(|side| side * 96.0);
                // A tip narrower than a pixel hardly shows in its last pixel: two at most.
                let slack = if matches!(thing.shape, Shape::Star | Shape::Triangle | Shape::Diamond)
                {
                    2.5
                } else {
                    1.2
                };
                for (drawn, side) in drawn.iter().zip(bbox) {
                    assert!(
                        (drawn - side).abs() < slack,
                        "{thing:?}: drawn {drawn}, box {side}"
                    );
                }
            }
        }
    }
}

#[test]
fn captions_fit_and_are_true() {
    let pieces = vlp_text::WordPieces::scenes();
    for scenes in all() {
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
                let encoding = pieces.encode(&caption.text, 64);
                let words = caption.text.split(' ').count();
                assert_eq!(
                    encoding.len(),
                    words + 2,
                    "every word is one piece: {}",
                    caption.text
                );
                assert!(
                    !encoding.ids.contains(&pieces.special().unk),
                    "{}",
                    caption.text
                );
                assert!(
                    encoding.len() <= 14,
                    "{} pieces: {}",
                    encoding.len(),
                    caption.text
                );
            }
        }
    }
}

#[test]
fn questions_have_their_answers() {
    let pieces = vlp_text::WordPieces::scenes();
    for scenes in all() {
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
                assert!(question.text.starts_with(question.kind) && question.text.ends_with('?'));
                for text in [&question.text, &question.answer] {
                    assert!(
                        !pieces.encode(text, 64).ids.contains(&pieces.special().unk),
                        "{text}"
                    );
                }
                let encoding = pieces.encode(&question.text, 64);
                assert_eq!(
                    encoding.words().len(),
                    encoding.len() - 2,
                    "{}",
                    question.text
                );
            }
        }
        let balance = yes as f64 / (yes + no) as f64;
        // Over 1,000 fair draws; five standard deviations are 0.08.
        assert!((balance - 0.5).abs() < 0.08, "{balance}");
        let share = dissent as f64 / total as f64;
        assert!((0.04..0.08).contains(&share), "{share}");
    }
}

/// An independent reading of "is there a COLOUR SHAPE?" and "how many SHAPEs are there?".
#[test]
fn answers_agree_with_the_scene() {
    let scenes = Scenes::new(full()).unwrap();
    let mut checked = 0;
    for index in 0..400 {
        let scene = scenes.scene(index);
        for question in scenes.questions(&scene) {
            let words: Vec<&str> = question.text.trim_end_matches('?').split(' ').collect();
            let answer = match words.as_slice() {
                ["is", "there", _, colour, shape] => {
                    let there = scene
                        .things
                        .iter()
                        .any(|t| t.colour.word() == *colour && t.shape.word() == *shape);
                    if there { "yes".into() } else { "no".into() }
                }
                ["how", "many", what, "are", "there"] => {
                    let fits = |t: &&vlp_data::scenes::Thing| {
                        *what == "shapes" || t.shape.plural() == *what
                    };
                    scene.things.iter().filter(fits).count().to_string()
                }
                ["what", "color", "is", "the", shape] => {
                    let thing = scene
                        .things
                        .iter()
                        .find(|t| t.shape.word() == *shape)
                        .unwrap();
                    thing.colour.word().to_owned()
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
fn statements_are_balanced_and_words_tell_nothing() {
    let pieces = vlp_text::WordPieces::scenes();
    for scenes in all() {
        let mut made = 0;
        for set in 0..150 {
            let Some([first, second]) = scenes.statements(set) else {
                continue;
            };
            made += 1;
            assert_eq!(first.text, second.text);
            assert_ne!(first.label, second.label);
            assert_eq!(
                (first.set, second.set, first.pair, second.pair),
                (set, set, 0, 1)
            );
            for statement in [&first, &second] {
                assert_ne!(statement.left, statement.right);
                assert!(statement.left.max(statement.right) < scenes.len());
                let encoding = pieces.encode(&statement.text, 64);
                assert_eq!(
                    encoding.words().len(),
                    encoding.len() - 2,
                    "{}",
                    statement.text
                );
                // Read one kind of statement anew.
                if let Some(rest) = statement.text.strip_prefix("both images contain ") {
                    let what = rest.split(' ').next_back().unwrap();
                    let has = |index: usize| {
                        scenes.scene(index).things.iter().any(|t| {
                            if what == "shape" {
                                rest.contains(t.colour.word())
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
        assert!(made >= 145, "{made} of 150");
    }
}

#[test]
fn hypotheses_stand_to_the_scene_as_they_say() {
    let pieces = vlp_text::WordPieces::scenes();
    for scenes in all() {
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
                    .annotators
                    .iter()
                    .filter(|l| **l == hypothesis.label)
                    .count();
                assert!(agree >= 4);
                let encoding = pieces.encode(&hypothesis.text, 64);
                assert_eq!(
                    encoding.words().len(),
                    encoding.len() - 2,
                    "{}",
                    hypothesis.text
                );
            }
        }
    }
}

#[test]
fn splits_share_no_scene_and_no_key() {
    let mut keys = HashSet::new();
    let mut pictures = HashSet::new();
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
                pictures.insert(scenes.scene(index).draw(32).rgb),
                "{split:?} {index}"
            );
        }
    }
}

#[test]
fn a_scene_depends_on_seed_split_and_index_alone() {
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
fn objects_name_one_attribute_of_each_group() {
    let scenes = Scenes::new(full()).unwrap();
    let labels = scenes.labels();
    for index in 0..50 {
        let (scene, sample) = (scenes.scene(index), scenes.load(index).unwrap());
        for (thing, object) in scene.things.iter().zip(sample.objects.unwrap()) {
            assert_eq!(labels.classes[object.class], thing.shape.word());
            let names: Vec<&str> = object
                .attributes
                .iter()
                .map(|&a| labels.attributes[a].as_str())
                .collect();
            assert_eq!(
                names,
                [thing.colour.word(), thing.size.word(), thing.texture.word()]
            );
            for (attribute, group) in object.attributes.iter().zip(scenes.attribute_groups()) {
                assert!(group.contains(attribute));
            }
        }
    }
}

#[test]
fn wrong_configurations_are_refused_by_field() {
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
    let unknown = serde_json::from_str::<ScenesConfig>(r#"{"colors": ["red"]}"#).unwrap_err();
    assert!(unknown.to_string().contains("colors"), "{unknown}");
    let json = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<ScenesConfig>(&json).unwrap(), full());
}

fn subset<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = Vec<T>> {
    prop::sample::subsequence(all, 1..=all.len())
}

prop_compose! {
    fn configs()(
        shapes in subset(Shape::ALL), colours in subset(Colour::ALL), sizes in subset(Size::ALL),
        textures in subset(Texture::ALL), least in 1usize..=6, more in 0usize..=5,
        small in 0.06f32..0.3, wide in 0.0f32..0.4, seed: u64,
    ) -> ScenesConfig {
        ScenesConfig {
            shapes, colours, sizes, textures, min_objects: least, max_objects: (least + more).min(6),
            min_extent: small, max_extent: small + wide, seed, ..ScenesConfig::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn any_configuration_gives_sound_scenes(config in configs(), index in 0usize..1000) {
        let Ok(scenes) = Scenes::new(config.clone()) else { return Ok(()) };
        let scene = scenes.scene(index);
        prop_assert!((config.min_objects..=config.max_objects).contains(&scene.things.len()));
        for (at, thing) in scene.things.iter().enumerate() {
            let a = thing.bbox();
            prop_assert!(a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= 1.0 && a[3] <= 1.0, "{:?}", a);
            prop_assert!(a[2] > a[0] && a[3] > a[1]);
            // Extents are reached within the rounding of f32.
            prop_assert!(thing.extent >= config.min_extent - 1e-4 && thing.extent <= config.max_extent + 1e-4);
            prop_assert!((thing.width.max(thing.height) - thing.extent).abs() < 1e-3);
            for other in &scene.things[..at] {
                let b = other.bbox();
                let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
                let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
                let union = thing.width * thing.height + other.width * other.height - width * height;
                prop_assert!(width * height <= 0.1 * union + 1e-4);
            }
        }
        for caption in scenes.scene_captions(&scene) {
            prop_assert!(caption.holds(&scene), "{}", caption.text);
        }
        for claim in scenes.hypotheses(&scene) {
            prop_assert!(claim.claim.is_none_or(|c| c.holds(&scene) == (claim.label == Entailment::Entailment)));
        }
    }
}
