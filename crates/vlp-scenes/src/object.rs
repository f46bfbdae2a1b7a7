use rand::{Rng, RngExt};

use crate::{Color, ScenesConfig, Shape, Size, Texture, random::pick};

/// Largest intersection over union of two boxes.
const MAX_IOU: f32 = 0.1;
/// Largest fraction of the smaller of two boxes that the other may cover.
const MAX_COVER: f32 = 0.25;

/// A drawn object. Lengths are fractions of the image side; x points right and y down.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneObject {
    /// Its shape, which is its class.
    pub shape: Shape,
    /// Its color.
    pub color: Color,
    /// Its size.
    pub size: Size,
    /// Its fill pattern.
    pub texture: Texture,
    /// Horizontal center of its box.
    pub x: f32,
    /// Vertical center of its box.
    pub y: f32,
    /// Longer side of its box.
    pub extent: f32,
    /// Rotation in degrees, -12 to 12.
    pub angle: f32,
    /// Width of its box.
    pub width: f32,
    /// Height of its box.
    pub height: f32,
}

impl SceneObject {
    /// Random properties and extent, at the center of the image; color and shape are `held_out` or not.
    pub(crate) fn random(
        config: &ScenesConfig,
        size: Size,
        held_out: bool,
        rng: &mut impl Rng,
    ) -> Self {
        let (min_extent, max_extent) = config.extent_range(size);
        let (color, shape) = match held_out {
            true => pick(&config.held_out, rng),
            false => any_combination(config, rng),
        };
        let mut object = Self {
            shape,
            color,
            size,
            texture: pick(&config.textures, rng),
            x: 0.5,
            y: 0.5,
            extent: rng.random_range(min_extent..=max_extent),
            angle: rng.random_range(-12.0..=12.0),
            width: 0.0,
            height: 0.0,
        };
        object.update_box_size();
        object
    }

    /// Left, top, right, bottom of the tight box, 0 to 1.
    pub fn bbox(&self) -> [f32; 4] {
        let (half_width, half_height) = (self.width / 2.0, self.height / 2.0);
        [
            self.x - half_width,
            self.y - half_height,
            self.x + half_width,
            self.y + half_height,
        ]
    }

    /// Whether two objects overlap more than scenes allow.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.bbox(), other.bbox());
        let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        let shared = width * height;
        let (area_a, area_b) = (self.width * self.height, other.width * other.height);
        shared > MAX_IOU * (area_a + area_b - shared) || shared > MAX_COVER * area_a.min(area_b)
    }
}

/// A color and a shape that scenes may have, all equally likely. The configuration leaves some for each color.
fn any_combination(config: &ScenesConfig, rng: &mut impl Rng) -> (Color, Shape) {
    loop {
        let shape = pick(&config.shapes, rng);
        let color = pick(&config.colors, rng);
        if config.allows(color, shape) {
            return (color, shape);
        }
    }
}
