//! Combinations of a color and a shape that training never shows.

use vlp_data::Source;
use vlp_scenes::{Color, Scene, Scenes, ScenesConfig, ScenesTask, Shape, Split, Task};

const HELD_OUT: [(Color, Shape); 4] = [
    (Color::Red, Shape::Square),
    (Color::Blue, Shape::Circle),
    (Color::Blue, Shape::Star),
    (Color::Black, Shape::Triangle),
];
const SCENES: usize = 400;

fn config(split: Split) -> ScenesConfig {
    ScenesConfig::default()
        .with_held_out(HELD_OUT.to_vec())
        .with_split(split)
        .with_count(SCENES)
        .with_resolution(32)
}

fn held_out_objects(scene: &Scene) -> usize {
    let objects = scene.objects.iter();
    let is_held_out = |color, shape| HELD_OUT.contains(&(color, shape));
    objects
        .filter(|object| is_held_out(object.color, object.shape))
        .count()
}

/// Whether a text names a combination.
fn names_held_out(text: &str) -> bool {
    HELD_OUT.iter().any(|(color, shape)| {
        // A texture stands before the color, nothing between color and shape.
        text.contains(&format!("{} {}", color.word(), shape.word()))
    })
}

/// Captions, questions, statements and hypotheses of all scenes.
fn texts(config: &ScenesConfig) -> Vec<String> {
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(Scenes::new(config.clone()).unwrap())];
    for task in [Task::Vqa, Task::Nlvr2, Task::SnliVe] {
        sources.push(Box::new(ScenesTask::new(config.clone(), task).unwrap()));
    }
    let texts = sources
        .iter()
        .flat_map(|source| (0..source.len()).map(|index| source.captions(index).unwrap()));
    texts.flatten().collect()
}

#[test]
fn training_never_shows_or_names_a_combination_held_out() {
    for config in [
        config(Split::Train),
        config(Split::Train).with_require_held_out(true),
        config(Split::Test),
    ] {
        let scenes = Scenes::new(config.clone()).unwrap();
        assert!((0..SCENES).all(|index| held_out_objects(&scenes.scene(index)) == 0));
        let named: Vec<String> = texts(&config)
            .into_iter()
            .filter(|t| names_held_out(t))
            .collect();
        assert_eq!(named, Vec::<String>::new());
    }
    // Each color and each shape is shown all the same.
    let scenes = Scenes::new(config(Split::Train)).unwrap();
    let objects: Vec<_> = (0..SCENES)
        .flat_map(|index| scenes.scene(index).objects)
        .collect();
    for color in &scenes.config().colors {
        assert!(
            objects
                .iter()
                .filter(|object| object.color == *color)
                .count()
                > SCENES / 10
        );
    }
    for shape in &scenes.config().shapes {
        assert!(
            objects
                .iter()
                .filter(|object| object.shape == *shape)
                .count()
                > SCENES / 10
        );
    }
}

#[test]
fn every_validation_scene_shows_one_when_asked_for() {
    for split in [Split::Val, Split::Test] {
        // Six small objects: the grid is needed at times.
        let crowded = config(split).with_max_objects(6).with_min_extent(0.15);
        for config in [config(split), crowded] {
            let config = config.with_require_held_out(true);
            let scenes = Scenes::new(config.clone()).unwrap();
            assert!((0..SCENES).all(|index| held_out_objects(&scenes.scene(index)) > 0));
            let texts = texts(&config);
            assert!(texts.iter().any(|text| names_held_out(text)));
            assert!(texts.iter().any(|text| !names_held_out(text)));
        }
    }
}

#[test]
fn scenes_remain_a_function_of_seed_split_and_index() {
    let scenes = Scenes::new(config(Split::Test).with_require_held_out(true)).unwrap();
    let fewer = Scenes::new(
        config(Split::Test)
            .with_require_held_out(true)
            .with_count(9)
            .with_resolution(64),
    )
    .unwrap();
    let other = Scenes::new(config(Split::Test).with_require_held_out(true).with_seed(1)).unwrap();
    for index in 0..50 {
        assert_eq!(scenes.scene(index), fewer.scene(index));
        assert_ne!(scenes.scene(index), other.scene(index));
    }
}

#[test]
fn combinations_that_cannot_be_held_out_are_refused() {
    let base = || ScenesConfig::default();
    let all_red = Shape::ALL[..4].iter().map(|shape| (Color::Red, *shape));
    let all_stars = base().colors.into_iter().map(|color| (color, Shape::Star));
    for (config, parts) in [
        (
            base().with_held_out(vec![(Color::Cyan, Shape::Square)]),
            ["scenes.held_out", "cyan is not in scenes.colors"],
        ),
        (
            base().with_held_out(vec![(Color::Red, Shape::Heart)]),
            ["scenes.held_out", "heart is not in scenes.shapes"],
        ),
        (
            base().with_held_out(all_red.collect()),
            ["scenes.held_out", "no combination with red is left"],
        ),
        (
            base().with_held_out(all_stars.collect()),
            ["scenes.held_out", "no combination with star is left"],
        ),
        (
            base().with_require_held_out(true),
            ["scenes.require_held_out", "names no combination"],
        ),
    ] {
        let error = Scenes::new(config).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn combinations_are_pairs_of_words() {
    let read = |text: &str| serde_json::from_str::<ScenesConfig>(text);
    let config = read(r#"{"held_out": [["red", "square"], ["blue", "star"]]}"#).unwrap();
    assert_eq!(
        config.held_out,
        [(Color::Red, Shape::Square), (Color::Blue, Shape::Star)]
    );
    assert!(read(r#"{"held_out": [["red", "sqare"]]}"#).is_err());
    // As before there was the key.
    let text = serde_json::to_string(&ScenesConfig::default()).unwrap();
    assert!(!text.contains("held_out"), "{text}");
}
