use std::sync::Arc;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{
    DataError, Label, Limits, Object, Picture, Record, ResizeRule, Source, rng,
    transform::{normalise, resize, resize_objects},
};

/// Which of an image's captions an example takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptionChoice {
    /// At random, anew in every epoch.
    #[default]
    Random,
    /// The first ones, for evaluation.
    First,
}

/// A sample as a network takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The image id.
    pub key: u64,
    /// File name or other short name.
    pub name: String,
    /// Number of the sample in its source.
    pub index: usize,
    /// The epoch it was made for.
    pub epoch: u64,
    /// Width in pixels after the resize.
    pub width: usize,
    /// Height in pixels after the resize.
    pub height: usize,
    /// Normalised channel planes `[3, height, width]`, see [`normalise`].
    pub pixels: Vec<f32>,
    /// The resized picture, to draw on.
    pub picture: Picture,
    /// Width and height before the resize.
    pub original: (usize, usize),
    /// The chosen captions, `rng(seed, epoch, key, "caption")`: as many as asked for, each once before any twice; never
    /// empty, but an empty text where the image has no caption.
    pub texts: Vec<String>,
    /// All captions.
    pub captions: Vec<String>,
    /// As many captions of images with other keys, `rng(seed, epoch, key, "distractor")`; an empty text where the source
    /// has no other image.
    pub distractors: Vec<String>,
    /// Objects with boxes in pixels of the resized picture; `None` where boxes are not annotated.
    pub objects: Option<Vec<Object>>,
    /// The second picture of a sample that has two (NLVR2's right one).
    pub second: Option<Box<SecondPicture>>,
    /// What a downstream task asks to be predicted.
    pub label: Option<Label>,
    /// What official evaluation tools know the sample by.
    pub record: Option<Record>,
}

/// The second of two pictures, as the first stands in [`Example`].
#[derive(Debug, Clone, PartialEq)]
pub struct SecondPicture {
    /// Width in pixels after the resize.
    pub width: usize,
    /// Height in pixels after the resize.
    pub height: usize,
    /// Normalised channel planes.
    pub pixels: Vec<f32>,
    /// The resized picture.
    pub picture: Picture,
}

/// Makes [`Example`]s of a source: load, resize, normalise, choose captions. A pure function of its fields and of
/// (index, epoch).
#[derive(Clone)]
pub struct Examples {
    /// The samples.
    pub source: Arc<dyn Source>,
    /// Seed of the random choices.
    pub seed: u64,
    /// The size pictures get.
    pub resize: ResizeRule,
    /// Pictures outside are refused before they are loaded.
    pub limits: Limits,
    /// Which captions are taken.
    pub caption: CaptionChoice,
    /// Which caption of another image is taken.
    pub foreign: CaptionChoice,
    /// Texts of an example, at least 1.
    pub texts: usize,
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
            foreign: CaptionChoice::Random,
            texts: 1,
        }
    }

    /// Width and height that a sample gets in an epoch, without loading it.
    pub fn target(&self, index: usize, epoch: u64) -> (usize, usize) {
        let (width, height) = self.source.size(index);
        let mut rng = rng(self.seed, epoch, self.source.key(index), "resize");
        self.resize.target(width, height, &mut rng)
    }

    /// The example of sample `index` in `epoch`.
    ///
    /// # Errors
    /// When there is no such sample, it is outside the limits, or cannot be loaded.
    pub fn load(&self, index: usize, epoch: u64) -> Result<Example, DataError> {
        let source = &self.source;
        if index >= source.len() {
            return Err(DataError::Index {
                name: source.name().into(),
                index,
                len: source.len(),
            });
        }
        let (width, height) = source.size(index);
        let key = source.key(index);
        self.limits
            .check(width, height, &format!("{} #{key}", source.name()))?;
        let sample = source.load(index)?;
        // The decoded size decides: an annotation file may be wrong about it.
        let original = (sample.picture.width, sample.picture.height);
        self.limits.check(original.0, original.1, &sample.name)?;
        let mut draw = rng(self.seed, epoch, key, "resize");
        let (width, height) = self.resize.target(original.0, original.1, &mut draw);
        let picture = resize(&sample.picture, width, height)?;
        let second = sample.second.as_ref().map(|own| {
            self.limits.check(own.width, own.height, &sample.name)?;
            let (width, height) = self.resize.target(own.width, own.height, &mut draw);
            let picture = resize(own, width, height)?;
            Ok(Box::new(SecondPicture {
                width,
                height,
                pixels: normalise(&picture),
                picture,
            }))
        });
        let second = second.transpose()?;
        let texts = self.choose(&sample.captions, epoch, key);
        let distractors = self.distractors(index, epoch)?;
        Ok(Example {
            key,
            name: sample.name,
            index,
            epoch,
            width,
            height,
            pixels: normalise(&picture),
            original,
            texts,
            captions: sample.captions,
            distractors,
            objects: sample
                .objects
                .map(|all| resize_objects(&all, original, (width, height))),
            picture,
            second,
            label: sample.label,
            record: sample.record,
        })
    }

    fn choose(&self, captions: &[String], epoch: u64, key: u64) -> Vec<String> {
        let mut rng = rng(self.seed, epoch, key, "caption");
        let mut left: Vec<&String> = vec![];
        let mut pick = || {
            if left.is_empty() {
                left = captions.iter().collect();
            }
            match (self.caption, left.len()) {
                (_, 0) => String::new(),
                (CaptionChoice::First, _) | (_, 1) => left.remove(0).clone(),
                (CaptionChoice::Random, len) => left.remove(rng.random_range(0..len)).clone(),
            }
        };
        (0..self.texts.max(1)).map(|_| pick()).collect()
    }

    /// Random captions of other images.
    fn distractors(&self, index: usize, epoch: u64) -> Result<Vec<String>, DataError> {
        let source = &self.source;
        let (len, key) = (source.len(), source.key(index));
        let mut rng = rng(self.seed, epoch, key, "distractor");
        let mut pick = || {
            // Nearly always the first draw is another image; a source of few images with many samples each may need
            // more, and the walk from a random start ends the search.
            let start = rng.random_range(0..len);
            let other = std::iter::repeat_with(|| rng.random_range(0..len))
                .take(16)
                .find(|&other| source.key(other) != key)
                .or_else(|| {
                    (start..len)
                        .chain(0..start)
                        .find(|&other| source.key(other) != key)
                });
            let Some(other) = other else {
                return Ok(String::new());
            };
            let mut captions = source.captions(other)?;
            Ok(match (self.foreign, captions.len()) {
                (_, 0) => String::new(),
                (CaptionChoice::First, _) => captions.swap_remove(0),
                (CaptionChoice::Random, len) => captions.swap_remove(rng.random_range(0..len)),
            })
        };
        (0..self.texts.max(1)).map(|_| pick()).collect()
    }
}
