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

    /// NLVR2's name of the split.
    pub(crate) fn nlvr2_name(self) -> &'static str {
        ["train", "dev", "test1"][self as usize]
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
    /// Combinations of a color and a shape that no training scene has and no training text names, such as
    /// `[["red", "square"]]`. Validation and test scenes have none either, unless `require_held_out` is set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_out: Vec<(Color, Shape)>,
    /// Each validation and test scene has at least one object of a combination in `held_out`. Training scenes are not
    /// affected.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub require_held_out: bool,
    /// Possible backgrounds.
    pub backgrounds: Vec<Background>,
    /// Small colored marks behind the objects, which no text mentions; at most 200.
    #[serde(skip_serializing_if = "is_zero")]
    pub clutter: usize,
    /// How much darker the unlit side of the image is: 0 for even light, at most 0.9.
    #[serde(skip_serializing_if = "is_even")]
    pub shade: f32,
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

// Values that a configuration without them stands for are not written: such configurations keep their fingerprints.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_even(shade: &f32) -> bool {
    *shade == 0.0
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
            held_out: vec![],
            require_held_out: false,
            backgrounds: vec![Background::Plain, Background::Gradient, Background::Noise],
            clutter: 0,
            shade: 0.0,
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
        if let Some(reason) = self.held_out_problem() {
            return invalid("scenes.held_out", reason);
        }
        if self.require_held_out && self.held_out.is_empty() {
            let reason = "true, but scenes.held_out names no combination".into();
            return invalid("scenes.require_held_out", reason);
        }
        if self.clutter > 200 {
            return invalid("scenes.clutter", format!("{}; at most 200", self.clutter));
        }
        if !(0.0..=0.9).contains(&self.shade) {
            return invalid(
                "scenes.shade",
                format!("{}; it must be 0 to 0.9", self.shade),
            );
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

    /// What is wrong with the combinations held out.
    fn held_out_problem(&self) -> Option<String> {
        let (colors, shapes) = (&self.colors, &self.shapes);
        for (color, shape) in &self.held_out {
            let (color_word, shape_word) = (color.word(), shape.word());
            if !colors.contains(color) {
                return Some(format!(
                    "{color_word} {shape_word}: {color_word} is not in scenes.colors"
                ));
            }
            if !shapes.contains(shape) {
                return Some(format!(
                    "{color_word} {shape_word}: {shape_word} is not in scenes.shapes"
                ));
            }
        }
        let is_held_out = |color: &Color, shape: &Shape| self.held_out.contains(&(*color, *shape));
        let color = colors
            .iter()
            .find(|color| shapes.iter().all(|shape| is_held_out(color, shape)));
        let shape = shapes
            .iter()
            .find(|shape| colors.iter().all(|color| is_held_out(color, shape)));
        let word = color
            .map(|color| color.word())
            .or(shape.map(|shape| shape.word()))?;
        Some(format!(
            "no combination with {word} is left for training; leave at least one for each color and each shape"
        ))
    }

    /// Whether every scene has an object of a combination held out.
    pub(crate) fn shows_held_out(&self) -> bool {
        self.require_held_out && self.split != Split::Train
    }

    /// Whether scenes may have objects of this color and shape.
    pub(crate) fn allows(&self, color: Color, shape: Shape) -> bool {
        self.shows_held_out() || !self.held_out.contains(&(color, shape))
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
