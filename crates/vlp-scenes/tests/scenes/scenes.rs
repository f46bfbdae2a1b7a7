//! Invariants of generated scenes: drawing, labels, splits and configurations.

use std::collections::HashSet;

use crate::common::{all_sets, large_config};
use proptest::prelude::*;
use vlp_data::{Entailment, Image, Source};
use vlp_scenes::{Color, Scene, Scenes, ScenesConfig, Shape, Size, Split, Texture};

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
fn splits_share_no_scenes_or_keys() {
    let mut keys = HashSet::new();
    let mut images = HashSet::new();
    for split in [Split::Train, Split::Val, Split::Test] {
        let config = ScenesConfig::default()
            .with_split(split)
            .with_count(300)
            .with_resolution(32);
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
    let larger = Scenes::new(ScenesConfig::default().with_resolution(200).with_count(3)).unwrap();
    let other = Scenes::new(ScenesConfig::default().with_seed(1)).unwrap();
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
fn clutter_and_shade_change_the_image_alone() {
    let plain = Scenes::new(ScenesConfig::default()).unwrap();
    let cluttered = Scenes::new(ScenesConfig::default().with_clutter(12)).unwrap();
    let shaded = Scenes::new(ScenesConfig::default().with_shade(0.6)).unwrap();
    for index in 0..40 {
        let (scene, clutter, shade) = (
            plain.load(index).unwrap(),
            cluttered.load(index).unwrap(),
            shaded.load(index).unwrap(),
        );
        assert_eq!(
            (&clutter.captions, &clutter.objects),
            (&scene.captions, &scene.objects)
        );
        assert_eq!(
            (&shade.captions, &shade.objects),
            (&scene.captions, &scene.objects)
        );
        // Marks lie behind the objects.
        for object in plain.scene(index).objects {
            let at = |length: f32| (length * 64.0) as usize;
            let center = (at(object.x), at(object.y));
            if object.shape != Shape::Ring {
                let pixel = |image: &Image| image.pixel(center.0, center.1);
                assert_eq!(pixel(&clutter.image), pixel(&scene.image));
            }
        }
        let brightness = |image: &Image| image.rgb.iter().map(|&c| usize::from(c)).sum::<usize>();
        let changed = scene.image.rgb.iter().zip(&clutter.image.rgb);
        assert!(changed.filter(|(a, b)| a != b).count() > 64);
        let ratio = brightness(&shade.image) as f64 / brightness(&scene.image) as f64;
        assert!((0.55..0.85).contains(&ratio), "{ratio}");
    }
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
        (base().with_resolution(8), "resolution"),
        (base().with_min_objects(0), "min_objects"),
        (base().with_max_objects(7), "max_objects"),
        (base().with_shapes(vec![]), "shapes"),
        (
            base().with_min_extent(0.6).with_max_extent(0.7),
            "min_extent",
        ),
        (base().with_min_extent(f32::NAN), "extent"),
        (base().with_count(2_000_000_000), "count"),
        (base().with_clutter(201), "clutter"),
        (base().with_shade(0.95), "shade"),
        (base().with_shade(f32::NAN), "shade"),
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
        ScenesConfig::default()
            .with_shapes(shapes)
            .with_colors(colors)
            .with_sizes(sizes)
            .with_textures(textures)
            .with_min_objects(least)
            .with_max_objects((least + more).min(6))
            .with_min_extent(small)
            .with_max_extent(small + wide)
            .with_seed(seed)
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
