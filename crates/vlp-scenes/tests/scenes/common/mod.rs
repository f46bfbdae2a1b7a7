//! Configurations for the tests.

use vlp_scenes::{Background, Color, Scenes, ScenesConfig, Shape, Size, Texture};

pub(crate) fn large_config() -> ScenesConfig {
    ScenesConfig::default()
        .with_max_objects(6)
        .with_shapes(Shape::ALL.to_vec())
        .with_colors(Color::ALL.to_vec())
        .with_min_extent(0.18)
        .with_max_extent(0.36)
}

fn small_config() -> ScenesConfig {
    ScenesConfig::default()
        .with_max_objects(2)
        .with_shapes(vec![Shape::Circle, Shape::Square])
        .with_colors(vec![Color::Red, Color::Blue])
        .with_sizes(vec![Size::Large])
        .with_textures(vec![Texture::Plain])
        .with_backgrounds(vec![Background::Plain])
        .with_count(200)
}

pub(crate) fn all_sets() -> [Scenes; 3] {
    [ScenesConfig::default(), large_config(), small_config()]
        .map(|config| Scenes::new(config).unwrap())
}
