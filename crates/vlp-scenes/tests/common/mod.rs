//! Configurations for the tests.

use vlp_scenes::{Background, Color, Scenes, ScenesConfig, Shape, Size, Texture};

pub(crate) fn large_config() -> ScenesConfig {
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

pub(crate) fn all_sets() -> [Scenes; 3] {
    [ScenesConfig::default(), large_config(), small_config()]
        .map(|config| Scenes::new(config).unwrap())
}
