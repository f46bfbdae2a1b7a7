//! Generated scenes: coloured shapes with boxes, attributes, captions, questions, statements and hypotheses, each a pure
//! function of (seed, split, index).
//!
//! # What can be known of a caption
//!
//! Every scene has five captions of different wording, at most 14 word pieces each with `vlp-text`'s scenes vocabulary,
//! `[CLS]` and `[SEP]` included:
//!
//! | scenes of | wording | the objects it tells of |
//! |---|---|---|
//! | two and more | `red circle on the left and blue star on the right` | the leftmost and the rightmost |
//! | | `the top one is striped red and the bottom one dotted blue` | the topmost and the lowest |
//! | | `three shapes and the leftmost is a large striped red circle` | the leftmost |
//! | | `a large red circle is left of a small blue star` | the topmost or the lowest, and its nearest neighbour |
//! | | `the only red shape is a large striped circle` | the leftmost of a colour (else a shape) of its own |
//! | one | `a single striped red circle on its own`, `only one shape , a large red circle`, `one shape and it is a large striped red circle`, `just one large striped circle here`, `the only shape is a large striped circle` | the one |
//!
//! Properties of which a configuration has one value alone are left unsaid. With the default configuration, over 2,000
//! scenes (`cargo test -p vlp-data --test captions -- --nocapture`):
//!
//! - 98.4 % of the words are determined given the scene and the caption's other words: no other word in their place makes
//!   a true caption. This bounds what masked language modelling with the picture can reach.
//! - 92.1 % of the next words (the end included) can be guessed right given the scene and the words before, 35 % of the
//!   first words, which choose the wording. This bounds caption generation by teacher forcing.
//! - 0.4 % of the captions are also true of another random scene: so many mismatched pairs are no mismatch.
//!
//! Which object lies outermost is at least 4 % of the side clear of the next wherever there is room (see
//! [`Scene`]), and the direction of one object from another is that of the longer distance.

mod captions;
mod claim;
mod config;
mod draw;
mod hypotheses;
mod outline;
mod questions;
mod recall;
mod scene;
mod statements;
mod task;
mod words;
mod write;

use std::ops::Range;

pub use crate::label::{AnswerType, Entailment};
pub use captions::Caption;
pub use claim::{Claim, End, Phrase, Relation};
pub use config::{Background, ScenesConfig, Split};
pub use hypotheses::Hypothesis;
pub use questions::Question;
pub use scene::{Scene, Thing};
pub use statements::Statement;
pub use task::{ScenesTask, Task};
pub use words::{COUNTS, Colour, Shape, Size, Texture};

use crate::{DataError, Label, LabelSpace, Object, Sample, Source};

/// Keys of the splits start here, times 0, 1 and 2.
const SPLIT_KEYS: u64 = 1_000_000_000;

/// A set of generated scenes.
///
/// Classes are the configured shapes; attributes are the configured colours, then sizes, then textures, of which each
/// object has exactly one each. Keys are the index, plus 10^9 in `val` and 2 * 10^9 in `test`.
#[derive(Debug, Clone)]
pub struct Scenes {
    config: ScenesConfig,
    labels: LabelSpace,
    name: String,
    recall: recall::Recall,
}

impl Scenes {
    /// The scenes of a configuration; they are made when they are asked for.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the field that makes no sense.
    pub fn new(config: ScenesConfig) -> Result<Self, DataError> {
        config.check()?;
        let attributes = (config.colours.iter().map(|c| c.word()))
            .chain(config.sizes.iter().map(|s| s.word()))
            .chain(config.textures.iter().map(|t| t.word()));
        let labels = LabelSpace {
            name: "scenes".into(),
            classes: config.shapes.iter().map(|s| s.word().to_owned()).collect(),
            attributes: attributes.map(str::to_owned).collect(),
            ids: vec![],
        };
        let name = format!("scenes {}", config.split.name());
        Ok(Self {
            config,
            labels,
            name,
            recall: recall::Recall::default(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ScenesConfig {
        &self.config
    }

    /// Positions in [`LabelSpace::attributes`] of the colours, the sizes and the textures.
    pub fn attribute_groups(&self) -> [Range<usize>; 3] {
        let colours = self.config.colours.len();
        let sizes = colours + self.config.sizes.len();
        [
            0..colours,
            colours..sizes,
            sizes..sizes + self.config.textures.len(),
        ]
    }

    /// The scene of an index; any index, also beyond `len()`, has one.
    pub fn scene(&self, index: usize) -> Scene {
        Scene::generate(&self.config, index)
    }

    /// The five captions of a scene with what they claim.
    pub fn scene_captions(&self, scene: &Scene) -> Vec<Caption> {
        captions::captions(&self.config, scene)
    }

    /// For each of the five captions of a scene those that were equally likely to be taken: all the freedom there is in
    /// what is said of a scene.
    pub fn caption_choices(&self, scene: &Scene) -> Vec<Vec<Caption>> {
        captions::candidates(&self.config, scene)
    }

    /// Number of the object's class and attributes and its box in pixels.
    fn object(&self, thing: &Thing) -> Object {
        let config = &self.config;
        let at = |found: Option<usize>| found.unwrap_or_default();
        let [_, sizes, textures] = self.attribute_groups();
        let attributes = vec![
            at(config.colours.iter().position(|&c| c == thing.colour)),
            sizes.start + at(config.sizes.iter().position(|&s| s == thing.size)),
            textures.start + at(config.textures.iter().position(|&t| t == thing.texture)),
        ];
        let bbox = thing.bbox().map(|side| side * config.resolution as f32);
        Object {
            class: at(config.shapes.iter().position(|&s| s == thing.shape)),
            bbox,
            attributes,
            crowd: false,
            area: (bbox[2] - bbox[0]) * (bbox[3] - bbox[1]),
        }
    }

    fn objects_of(&self, scene: &Scene) -> Vec<Object> {
        let things = scene.things.iter();
        things.map(|thing| self.object(thing)).collect()
    }

    fn check(&self, index: usize) -> Result<(), DataError> {
        if index < self.config.count {
            return Ok(());
        }
        Err(DataError::Index {
            name: self.name.clone(),
            index,
            len: self.config.count,
        })
    }
}

impl Source for Scenes {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.config.count
    }

    fn labels(&self) -> &LabelSpace {
        &self.labels
    }

    fn key(&self, index: usize) -> u64 {
        self.config.split as u64 * SPLIT_KEYS + index as u64
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        (self.config.resolution, self.config.resolution)
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        self.check(index)?;
        let captions = self.scene_captions(&self.recall(index));
        Ok(captions.into_iter().map(|caption| caption.text).collect())
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        self.check(index).map(|()| None)
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        self.check(index)?;
        Ok(Some(self.objects_of(&self.recall(index))))
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.check(index)?;
        let scene = self.recall(index);
        Ok(Sample {
            key: self.key(index),
            name: format!("{:012}.png", self.key(index)),
            picture: scene.draw(self.config.resolution),
            second: None,
            captions: self
                .scene_captions(&scene)
                .into_iter()
                .map(|caption| caption.text)
                .collect(),
            objects: Some(self.objects_of(&scene)),
            label: None,
            record: None,
        })
    }
}
