use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_data::DataError;

use crate::{Color, Shape, Size, Texture};

/// One of three sets that share no scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training.
    #[default]
    Train,
    /// Validation.
    Val,
    /// Test.
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
    /// A light tint.
    Plain,
    /// A gradient between two light tints.
    Gradient,
    /// A light tint with noise.
    Noise,
}

/// Appearance, number and split of generated scenes.
///
/// The default suits a tiny model at 64 x 64 pixels: one to four objects of four shapes and six colors, each a quarter to
/// half of the image side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields, default)]
pub struct ScenesConfig {
    /// Width and height of the images in pixels, 16 to 4,096. It does not affect the scenes.
    pub resolution: usize,
    /// Smallest number of objects, at least 1.
    pub min_objects: usize,
    /// Largest number of objects, at most 6.
    pub max_objects: usize,
    /// Possible shapes.
    pub shapes: Vec<Shape>,
    /// Possible colors.
    pub colors: Vec<Color>,
    /// Possible sizes.
    pub sizes: Vec<Size>,
    /// Possible textures.
    pub textures: Vec<Texture>,
    /// Possible backgrounds.
    pub backgrounds: Vec<Background>,
    /// Smallest extent (longer side of the box) of an object, as a fraction of the image side.
    pub min_extent: f32,
    /// Largest extent. Small objects have extents in the lower 35 % of the range, large ones in the upper 35 %.
    pub max_extent: f32,
    /// The split.
    pub split: Split,
    /// Number of scenes in the split, at most 10^9.
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
            colors: vec![
                Color::Red,
                Color::Yellow,
                Color::Green,
                Color::Blue,
                Color::Purple,
                Color::Black,
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
    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Config`] with the first invalid field.
    pub fn check(&self) -> Result<(), DataError> {
        let invalid = |field, reason: String| Err(DataError::Config { field, reason });
        if !(16..=4096).contains(&self.resolution) {
            return invalid(
                "scenes.resolution",
                format!("{}; it must be 16 to 4096", self.resolution),
            );
        }
        if self.min_objects < 1 || self.max_objects > 6 || self.min_objects > self.max_objects {
            let reason = format!(
                "{} to {}; they must be within 1 to 6",
                self.min_objects, self.max_objects
            );
            return invalid("scenes.min_objects, max_objects", reason);
        }
        for (field, empty) in [
            ("scenes.shapes", self.shapes.is_empty()),
            ("scenes.colors", self.colors.is_empty()),
            ("scenes.sizes", self.sizes.is_empty()),
            ("scenes.textures", self.textures.is_empty()),
            ("scenes.backgrounds", self.backgrounds.is_empty()),
        ] {
            if empty {
                return invalid(field, "it is empty; at least one is needed".into());
            }
        }
        if !(0.05..=0.9).contains(&self.min_extent)
            || !(self.min_extent..=0.9).contains(&self.max_extent)
        {
            let reason = format!(
                "{} to {}; they must be within 0.05 to 0.9",
                self.min_extent, self.max_extent
            );
            return invalid("scenes.min_extent, max_extent", reason);
        }
        // The fallback is a grid of the smallest objects.
        let columns = (self.max_objects as f32).sqrt().ceil();
        let smallest = self
            .sizes
            .iter()
            .map(|&size| self.extent_range(size).0)
            .fold(f32::MAX, f32::min);
        if smallest * columns > 0.96 {
            let reason = format!(
                "{} objects of extent {smallest:.2} do not fit; at most {:.2} does",
                self.max_objects,
                0.96 / columns
            );
            return invalid("scenes.min_extent", reason);
        }
        if self.count > 1_000_000_000 {
            return invalid("scenes.count", format!("{}; at most 10^9", self.count));
        }
        Ok(())
    }

    /// Smallest and largest extent of a size.
    pub(crate) fn extent_range(&self, size: Size) -> (f32, f32) {
        let span = 0.35 * (self.max_extent - self.min_extent);
        match size {
            Size::Small => (self.min_extent, self.min_extent + span),
            Size::Large => (self.max_extent - span, self.max_extent),
        }
    }
}
