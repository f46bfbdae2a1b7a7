use serde::{Deserialize, Serialize};

use crate::{DataError, Label, Record, read::fnv};

/// An 8-bit RGB picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// Bytes `[height, width, 3]`, rows from the top; `width * height * 3` of them.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            rgb: colour.repeat(width * height),
        }
    }

    /// A key for a picture that has none: the 64-bit FNV-1a hash of its size and pixels.
    pub fn key(&self) -> u64 {
        let size = [self.width, self.height].map(|side| (side as u64).to_le_bytes());
        fnv(size.into_iter().flatten().chain(self.rgb.iter().copied()))
    }

    /// Red, green, blue at column `x`, row `y`; `None` outside.
    pub fn pixel(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        if x >= self.width {
            return None;
        }
        let at = (y * self.width + x) * 3;
        self.rgb.get(at..at + 3)?.try_into().ok()
    }
}

/// One annotated object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Index into [`LabelSpace::classes`].
    pub class: usize,
    /// Left, top, right, bottom in pixels of the picture, not rounded; `x0 < x1`, `y0 < y1`.
    pub bbox: [f32; 4],
    /// Indices into [`LabelSpace::attributes`], possibly none.
    pub attributes: Vec<usize>,
    /// COCO's `iscrowd`: a region of many objects, never a training target, ignored by AP.
    pub crowd: bool,
    /// Area in square pixels: the segmentation's where the annotation has one, else the box's.
    pub area: f32,
}

/// What the numbers in [`Object`] mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelSpace {
    /// Name of the set of labels, such as `coco`.
    pub name: String,
    /// Class names; `Object::class` counts from 0 without gaps.
    pub classes: Vec<String>,
    /// Attribute names; empty where attributes are not annotated.
    pub attributes: Vec<String>,
    /// The data set's own id of each class, which result files carry; empty where classes have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u64>,
}

impl LabelSpace {
    /// Whether two sets name the same classes and attributes; ids may differ.
    pub fn same_names(&self, other: &Self) -> bool {
        self.name == other.name
            && self.classes == other.classes
            && self.attributes == other.attributes
    }

    /// The id that result files give a class: the data set's own, else its number from 1.
    pub fn id(&self, class: usize) -> u64 {
        self.ids.get(class).copied().unwrap_or(class as u64 + 1)
    }
}

/// A picture with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The image id; equal for all samples of one image.
    pub key: u64,
    /// File name or other short name, for messages.
    pub name: String,
    /// The picture at its full size; of two pictures the left one.
    pub picture: Picture,
    /// The right picture of a task about two (NLVR2).
    pub second: Option<Picture>,
    /// Captions, at least one, none empty. Of a downstream task the question, statement or hypothesis, alone.
    pub captions: Vec<String>,
    /// Objects; `None` where boxes are not annotated, empty where there are no objects.
    pub objects: Option<Vec<Object>>,
    /// What is to be predicted; `None` in pre-training data and in test sets without public labels.
    pub label: Option<Label>,
    /// What official evaluation knows the sample by; `None` in pre-training data.
    pub record: Option<Record>,
}

/// A sample's pictures as they are stored, for packing them without a loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The picture's file: JPEG, PNG or WebP.
    pub picture: Vec<u8>,
    /// The right picture's file, where there are two.
    pub second: Option<Vec<u8>>,
    /// Width and height that an annotation says the picture has, which boxes are in pixels of.
    pub annotated: Option<(usize, usize)>,
    /// VQA's `multiple_choice_answer`, where it has answers.
    pub consensus: Option<String>,
}

/// A set of samples with random access; shared by the loader's threads.
pub trait Source: Send + Sync {
    /// Short name, for messages.
    fn name(&self) -> &str;
    /// Number of samples.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The classes and attributes that objects refer to.
    fn labels(&self) -> &LabelSpace;
    /// The image id of a sample; `index < len()`, else 0.
    fn key(&self, index: usize) -> u64;
    /// Width and height in pixels, without decoding; `index < len()`, else `(0, 0)`.
    fn size(&self, index: usize) -> (usize, usize);
    /// The captions alone, without decoding the picture.
    ///
    /// # Errors
    /// When there is no such sample or its record cannot be read.
    fn captions(&self, index: usize) -> Result<Vec<String>, DataError>;
    /// The label alone. Sources of labelled samples answer without decoding the picture; by default it is decoded.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn label(&self, index: usize) -> Result<Option<Label>, DataError> {
        Ok(self.load(index)?.label)
    }
    /// The objects alone, as [`Sample::objects`]. Sources of files answer without decoding the picture; by default it is
    /// decoded.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn objects(&self, index: usize) -> Result<Option<Vec<Object>>, DataError> {
        Ok(self.load(index)?.objects)
    }
    /// The id that COCO knows the image by, for the rule that no test image may be trained on
    /// ([`HeldOut`](crate::HeldOut)); `None` where the image is not COCO's or that is not known.
    fn coco_id(&self, _index: usize) -> Option<u64> {
        None
    }
    /// The pictures as they are stored, not decoded; `None` where they are no files, as those of generated scenes.
    ///
    /// # Errors
    /// When there is no such sample, or its pictures cannot be read.
    fn encoded(&self, _index: usize) -> Result<Option<Encoded>, DataError> {
        Ok(None)
    }
    /// Numbers of the first samples of runs that are read best one run after another, such as those of a shard:
    /// ascending, the first 0. Empty where any order is as good. See [`Plan::window`](crate::Plan::window).
    fn blocks(&self) -> Vec<usize> {
        Vec::new()
    }
    /// The whole sample.
    ///
    /// # Errors
    /// When there is no such sample, or its picture or record cannot be read.
    fn load(&self, index: usize) -> Result<Sample, DataError>;
}
