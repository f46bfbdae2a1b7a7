use std::{fmt, iter, sync::Arc};

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{
    AnnotatedObject, DataError, Image, Label, Limits, Object, Record, ResizeRule, Source, rng,
    transform::{normalize, resize, resize_objects},
};

/// Selection among the captions of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptionChoice {
    /// Random ones, different in every epoch.
    #[default]
    Random,
    /// The first ones, for evaluation.
    First,
}

/// The samples that negative captions come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeFrom {
    /// The whole source; with shards, nearly always another shard.
    #[default]
    Dataset,
    /// The window of the batch ([`BatchPlan::window`](crate::BatchPlan::window)), whose shards are read anyway; the whole
    /// source if all samples of the window are of the same image.
    Window,
}

/// A sample that is resized, normalized and has its captions selected.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The image id.
    pub key: u64,
    /// File name or another short name.
    pub name: String,
    /// Index of the sample in its source.
    pub index: usize,
    /// The epoch that its random choices belong to.
    pub epoch: u64,
    /// Width in pixels after the resize.
    pub width: usize,
    /// Height in pixels after the resize.
    pub height: usize,
    /// Normalized channels `[3, height, width]`, see [`normalize`].
    pub pixels: Vec<f32>,
    /// The resized image, for visualization.
    pub image: Image,
    /// Width and height before the resize.
    pub original_size: (usize, usize),
    /// The selected captions, [`texts_per_image`](Examples::texts_per_image) of them. No caption is repeated before all
    /// were selected; an image without captions has empty texts.
    pub texts: Vec<String>,
    /// All captions.
    pub captions: Vec<String>,
    /// Captions of other images, as many as `texts`; empty texts if the source has no other image.
    pub negative_captions: Vec<String>,
    /// Objects with boxes in pixels of the resized image; `None` without box annotations.
    pub objects: Option<Vec<Object>>,
    /// Index in [`Source::label_spaces`] of the objects' classes and attributes.
    pub label_space: usize,
    /// All annotated objects of the image before the resize, for scoring: also those that are not training targets.
    pub original_objects: Option<Vec<AnnotatedObject>>,
    /// The right image of an image pair (NLVR2).
    pub second_image: Option<Box<SecondImage>>,
    /// The target of a downstream task.
    pub label: Option<Label>,
    /// The sample's id for official evaluation.
    pub record: Option<Record>,
}

/// The second image of a pair; the fields are those of [`Example`].
#[derive(Debug, Clone, PartialEq)]
pub struct SecondImage {
    /// Width in pixels after the resize.
    pub width: usize,
    /// Height in pixels after the resize.
    pub height: usize,
    /// Normalized channels `[3, height, width]`.
    pub pixels: Vec<f32>,
    /// The resized image.
    pub image: Image,
}

/// Prepares the [`Example`]s of a source: loads, resizes, normalizes and selects captions. An example is a pure
/// function of these fields, its index and the epoch.
#[derive(Clone)]
pub struct Examples {
    /// The samples.
    pub source: Arc<dyn Source>,
    /// Seed of the random choices.
    pub seed: u64,
    /// The target size of images.
    pub resize: ResizeRule,
    /// Images outside these limits are refused before they are loaded.
    pub limits: Limits,
    /// Selection of an image's captions.
    pub caption: CaptionChoice,
    /// Selection of a negative caption among those of another image.
    pub negative_caption: CaptionChoice,
    /// Texts per image, at least 1.
    pub texts_per_image: usize,
}

impl Examples {
    /// Examples for evaluation: seed 0, the first caption, default limits.
    pub fn new(source: Arc<dyn Source>, resize: ResizeRule) -> Self {
        Self {
            source,
            seed: 0,
            resize,
            limits: Limits::default(),
            caption: CaptionChoice::First,
            negative_caption: CaptionChoice::Random,
            texts_per_image: 1,
        }
    }

    /// Width and height of a sample after the resize in an epoch, without loading it.
    pub fn target_size(&self, index: usize, epoch: u64) -> (usize, usize) {
        let (width, height) = self.source.size(index);
        let mut rng = rng(self.seed, epoch, self.source.key(index), "resize");
        self.resize.target_size(width, height, &mut rng)
    }

    /// The example of sample `index` in `epoch`.
    ///
    /// # Errors
    /// If `index` is out of range, or the sample is outside the limits or unreadable.
    pub fn load(&self, index: usize, epoch: u64) -> Result<Example, DataError> {
        self.load_example(index, epoch, None)
    }

    /// As [`load`](Self::load), with negative captions of the samples `window` of the source.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_negatives_from(
        &self,
        window: &[usize],
        index: usize,
        epoch: u64,
    ) -> Result<Example, DataError> {
        self.load_example(index, epoch, Some(window))
    }

    fn load_example(
        &self,
        index: usize,
        epoch: u64,
        window: Option<&[usize]>,
    ) -> Result<Example, DataError> {
        let source = &self.source;
        if index >= source.len() {
            return Err(DataError::Index {
                name: source.name().into(),
                index,
                len: source.len(),
            });
        }
        source.prepare(index)?;
        let (width, height) = source.size(index);
        let key = source.key(index);
        self.limits
            .check(width, height, &format!("{} #{key}", source.name()))?;
        let sample = source.load(index)?;
        // The decoded size may differ from the annotated one.
        let original_size = (sample.image.width, sample.image.height);
        self.limits
            .check(original_size.0, original_size.1, &sample.name)?;
        let mut rng = rng(self.seed, epoch, key, "resize");
        let (width, height) = self
            .resize
            .target_size(original_size.0, original_size.1, &mut rng);
        let image = resize(&sample.image, width, height)?;
        let second_image = sample.second_image.as_ref().map(|image| {
            self.limits.check(image.width, image.height, &sample.name)?;
            let (width, height) = self.resize.target_size(image.width, image.height, &mut rng);
            let image = resize(image, width, height)?;
            Ok(Box::new(SecondImage {
                width,
                height,
                pixels: normalize(&image),
                image,
            }))
        });
        let second_image = second_image.transpose()?;
        let texts = self.select_captions(&sample.captions, epoch, key);
        let negative_captions = self.negative_captions(index, epoch, window)?;
        let original_objects =
            annotated_objects(source.as_ref(), index, sample.objects.as_deref())?;
        Ok(Example {
            key,
            name: sample.name,
            index,
            epoch,
            width,
            height,
            pixels: normalize(&image),
            original_size,
            texts,
            captions: sample.captions,
            negative_captions,
            objects: sample
                .objects
                .as_ref()
                .map(|objects| resize_objects(objects, original_size, (width, height))),
            label_space: self.source.label_space(index),
            original_objects,
            image,
            second_image,
            label: sample.label,
            record: sample.record,
        })
    }

    fn select_captions(&self, captions: &[String], epoch: u64, key: u64) -> Vec<String> {
        let mut rng = rng(self.seed, epoch, key, "caption");
        let mut remaining: Vec<&String> = vec![];
        let select = || {
            if remaining.is_empty() {
                remaining = captions.iter().collect();
            }
            match (self.caption, remaining.len()) {
                (_, 0) => String::new(),
                (CaptionChoice::First, _) | (_, 1) => remaining.remove(0).clone(),
                (CaptionChoice::Random, len) => remaining.remove(rng.random_range(0..len)).clone(),
            }
        };
        iter::repeat_with(select)
            .take(self.texts_per_image.max(1))
            .collect()
    }

    /// Captions of random other images, of those in `window` if there are any.
    fn negative_captions(
        &self,
        index: usize,
        epoch: u64,
        window: Option<&[usize]>,
    ) -> Result<Vec<String>, DataError> {
        let (source, key) = (&self.source, self.source.key(index));
        // The purpose is an older name of negative captions; another one would change the data of every seed.
        let mut rng = rng(self.seed, epoch, key, "distractor");
        let select = || {
            let other = window.and_then(|window| {
                self.random_other(key, window.len(), |number| window[number], &mut rng)
            });
            let in_source = || self.random_other(key, source.len(), |index| index, &mut rng);
            let Some(other) = other.or_else(in_source) else {
                return Ok(String::new());
            };
            let mut captions = source.captions(other)?;
            Ok(match (self.negative_caption, captions.len()) {
                (_, 0) => String::new(),
                (CaptionChoice::First, _) => captions.swap_remove(0),
                (CaptionChoice::Random, len) => captions.swap_remove(rng.random_range(0..len)),
            })
        };
        iter::repeat_with(select)
            .take(self.texts_per_image.max(1))
            .collect()
    }

    /// A random one of `len` samples whose image key is not `key`; `None` if there is no other image.
    fn random_other(
        &self,
        key: u64,
        len: usize,
        sample: impl Fn(usize) -> usize,
        rng: &mut impl Rng,
    ) -> Option<usize> {
        let is_other = |&index: &usize| self.source.key(index) != key;
        // The first draw nearly always succeeds. A source with few images and many samples per image may need more draws,
        // and finally a search from a random start.
        let start = rng.random_range(0..len);
        iter::repeat_with(|| sample(rng.random_range(0..len)))
            .take(16)
            .find(is_other)
            .or_else(|| (start..len).chain(0..start).map(&sample).find(is_other))
    }
}

/// The annotated objects of a sample with these `objects`.
pub(crate) fn annotated_objects(
    source: &dyn Source,
    index: usize,
    objects: Option<&[Object]>,
) -> Result<Option<Vec<AnnotatedObject>>, DataError> {
    let Some(objects) = objects else {
        return Ok(None);
    };
    let annotated = source.annotated_objects(index)?;
    Ok(Some(annotated.unwrap_or_else(|| {
        objects.iter().map(AnnotatedObject::from).collect()
    })))
}

impl fmt::Debug for Examples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Examples")
            .field("source", &self.source.name())
            .field("seed", &self.seed)
            .field("resize", &self.resize)
            .field("limits", &self.limits)
            .field("caption", &self.caption)
            .field("negative_caption", &self.negative_caption)
            .field("texts_per_image", &self.texts_per_image)
            .finish()
    }
}
