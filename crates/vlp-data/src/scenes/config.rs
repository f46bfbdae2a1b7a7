use serde::{Deserialize, Serialize};

use super::{Colour, Shape, Size, Texture};
use crate::DataError;

/// Which of three sets that share no scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    #[default]
    Train,
    /// To choose by.
    Val,
    /// To report.
    Test,
}

impl Split {
    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        ["train", "val", "test"][self as usize]
    }
}

/// Kinds of background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// One light tint.
    Plain,
    /// From one light tint to another.
    Gradient,
    /// A light tint with grain.
    Noise,
}

/// What generated scenes look like.
///
/// The default is easy enough for a tiny model at 64 x 64 pixels: one to four objects, each a quarter to half of the side,
/// of four shapes and six colours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScenesConfig {
    /// Width and height of the pictures in pixels, 16 to 4,096. The scene itself does not depend on it.
    pub resolution: usize,
    /// Least number of objects, at least 1.
    pub min_objects: usize,
    /// Greatest number of objects, at most 6.
    pub max_objects: usize,
    /// Shapes to draw from.
    pub shapes: Vec<Shape>,
    /// Colours to draw from.
    pub colours: Vec<Colour>,
    /// Sizes to draw from.
    pub sizes: Vec<Size>,
    /// Textures to draw from.
    pub textures: Vec<Texture>,
    /// Backgrounds to draw from.
    pub backgrounds: Vec<Background>,
    /// Extent of the smallest object (the longer side of its box), as a share of the side of the picture.
    pub min_extent: f32,
    /// Extent of the largest object. Small ones take the lower 35 % of the range, large ones the upper 35 %.
    pub max_extent: f32,
    /// The set.
    pub split: Split,
    /// Number of scenes in it, at most 10^9.
    pub count: usize,
    /// Seed of the scenes.
    pub seed: u64,
}

impl Default for ScenesConfig {
    fn default() -> Self {
        Self {
            resolution: 64,
            min_objects: 1,
            max_objects: 4,
            shapes: Shape::ALL[..4].to_vec(),
            colours: vec![
                Colour::Red,
                Colour::Yellow,
                Colour::Green,
                Colour::Blue,
                Colour::Purple,
                Colour::Black,
            ],
            sizes: Size::ALL.to_vec(),
            textures: Texture::ALL.to_vec(),
            backgrounds: vec![Background::Plain, Background::Gradient, Background::Noise],
            min_extent: 0.25,
            max_extent: 0.5,
            split: Split::Train,
            count: 10_000,
            seed: 0,
        }
    }
}

impl ScenesConfig {
    /// Whether every value makes sense.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the field.
    pub fn check(&self) -> Result<(), DataError> {
        let bad = |field, reason: String| Err(DataError::Config { field, reason });
        if !(16..=4096).contains(&self.resolution) {
            return bad(
                "scenes.resolution",
                format!("{}; it must be 16 to 4096", self.resolution),
            );
        }
        if self.min_objects < 1 || self.max_objects > 6 || self.min_objects > self.max_objects {
            let reason = format!(
                "{} to {}; they must be within 1 to 6",
                self.min_objects, self.max_objects
            );
            return bad("scenes.min_objects, max_objects", reason);
        }
        for (field, empty) in [
            ("scenes.shapes", self.shapes.is_empty()),
            ("scenes.colours", self.colours.is_empty()),
            ("scenes.sizes", self.sizes.is_empty()),
            ("scenes.textures", self.textures.is_empty()),
            ("scenes.backgrounds", self.backgrounds.is_empty()),
        ] {
            if empty {
                return bad(field, "it is empty; at least one is needed".into());
            }
        }
        if !(0.05..=0.9).contains(&self.min_extent)
            || !(self.min_extent..=0.9).contains(&self.max_extent)
        {
            let reason = format!(
                "{} to {}; they must be within 0.05 to 0.9",
                self.min_extent, self.max_extent
            );
            return bad("scenes.min_extent, max_extent", reason);
        }
        // So many of the smallest fit side by side in a grid, whatever else is drawn.
        let columns = (self.max_objects as f32).sqrt().ceil();
        let least = self
            .sizes
            .iter()
            .map(|&size| self.extents(size).0)
            .fold(f32::MAX, f32::min);
        if least * columns > 0.96 {
            let reason = format!(
                "{} objects of extent {least:.2} do not fit; at most {:.2} does",
                self.max_objects,
                0.96 / columns
            );
            return bad("scenes.min_extent", reason);
        }
        if self.count > 1_000_000_000 {
            return bad("scenes.count", format!("{}; at most 10^9", self.count));
        }
        Ok(())
    }

    /// Least and greatest extent of a size.
    pub(super) fn extents(&self, size: Size) -> (f32, f32) {
        let part = 0.35 * (self.max_extent - self.min_extent);
        match size {
            Size::Small => (self.min_extent, self.min_extent + part),
            Size::Large => (self.max_extent - part, self.max_extent),
        }
    }
}
