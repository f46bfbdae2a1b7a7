use std::{borrow::Cow, ops::Range};

use vlp_data::{DataError, Label, LabelSpace, Object, Sample, Source};

use crate::{Phrase, Scene, SceneObject, ScenesConfig, cache::SceneCache};

/// Distance between the first keys of two splits.
const SPLIT_KEY_STRIDE: u64 = 1_000_000_000;

/// A set of generated scenes.
///
/// Classes are the configured shapes; attributes are the configured colors, sizes and textures, in this order. Each object
/// has one attribute of each group. The key is the index, plus 10^9 in `val` and 2 * 10^9 in `test`.
#[derive(Debug, Clone)]
pub struct Scenes {
    pub(crate) config: ScenesConfig,
    pub(crate) labels: LabelSpace,
    pub(crate) name: String,
    pub(crate) cache: SceneCache,
}

impl Scenes {
    /// The scenes of a configuration; each is generated when it is requested.
    ///
    /// # Errors
    /// [`DataError::Config`] with the first invalid field.
    pub fn new(config: ScenesConfig) -> Result<Self, DataError> {
        config.check()?;
        let attributes = (config.colors.iter().map(|c| c.word()))
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
            cache: SceneCache::default(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &ScenesConfig {
        &self.config
    }

    /// Index ranges of the colors, the sizes and the textures in [`LabelSpace::attributes`].
    pub fn attribute_groups(&self) -> [Range<usize>; 3] {
        let colors = self.config.colors.len();
        let sizes = colors + self.config.sizes.len();
        [
            0..colors,
            colors..sizes,
            sizes..sizes + self.config.textures.len(),
        ]
    }

    /// The scene at an index, which may exceed `len()`.
    pub fn scene(&self, index: usize) -> Scene {
        Scene::generate(&self.config, index)
    }

    /// The scene at an index, from the cache if possible.
    pub(crate) fn cached_scene(&self, index: usize) -> Cow<'_, Scene> {
        let generate = || self.scene(index);
        self.cache
            .get_or_generate(index, self.config.count, generate)
    }

    /// Whether scenes may contain objects of the named color and shape.
    pub(crate) fn can_generate(&self, phrase: &Phrase) -> bool {
        let config = &self.config;
        let mut combination = phrase.color.zip(phrase.shape).into_iter();
        phrase
            .color
            .is_none_or(|color| config.colors.contains(&color))
            && phrase
                .shape
                .is_none_or(|shape| config.shapes.contains(&shape))
            && combination.all(|(color, shape)| config.allows(color, shape))
    }

    /// Class and attribute indices of an object and its box in pixels.
    fn labeled_object(&self, object: &SceneObject) -> Object {
        let config = &self.config;
        let [colors, sizes, textures] = self.attribute_groups();
        let attributes = vec![
            colors.start + index_of(&config.colors, object.color),
            sizes.start + index_of(&config.sizes, object.size),
            textures.start + index_of(&config.textures, object.texture),
        ];
        let bbox = object
            .bbox()
            .map(|coordinate| coordinate * config.resolution as f32);
        Object {
            class: index_of(&config.shapes, object.shape),
            bbox,
            attributes,
            crowd: false,
            area: (bbox[2] - bbox[0]) * (bbox[3] - bbox[1]),
        }
    }

    pub(crate) fn labeled_objects(&self, scene: &Scene) -> Vec<Object> {
        let objects = scene.objects.iter();
        objects.map(|object| self.labeled_object(object)).collect()
    }

    fn check_index(&self, index: usize) -> Result<(), DataError> {
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

/// Index of the value; 0 for values that the configuration does not contain.
fn index_of<T: PartialEq>(values: &[T], value: T) -> usize {
    let index = values.iter().position(|other| *other == value);
    index.unwrap_or_default()
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
        self.config.split as u64 * SPLIT_KEY_STRIDE + index as u64
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        (self.config.resolution, self.config.resolution)
    }

    fn captions(&self, index: usize) -> Result<Vec<String>, DataError> {
        self.check_index(index)?;
        let captions = self.scene_captions(&self.cached_scene(index));
        Ok(captions.into_iter().map(|caption| caption.text).collect())
    }

    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        self.check_index(index).map(|()| None)
    }

    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        self.check_index(index)?;
        Ok(Some(self.labeled_objects(&self.cached_scene(index))))
    }

    fn load(&self, index: usize) -> Result<Sample, DataError> {
        self.check_index(index)?;
        let scene = self.cached_scene(index);
        Ok(Sample {
            key: self.key(index),
            name: format!("{:012}.png", self.key(index)),
            image: scene.draw(self.config.resolution),
            second_image: None,
            captions: self
                .scene_captions(&scene)
                .into_iter()
                .map(|caption| caption.text)
                .collect(),
            objects: Some(self.labeled_objects(&scene)),
            label: None,
            record: None,
        })
    }
}
