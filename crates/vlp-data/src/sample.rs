use serde::{Deserialize, Serialize};

use crate::{Label, Record, hash::fnv1a};

/// An 8-bit RGB image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// Bytes `[height, width, 3]`, the top row first; length `width * height * 3`.
    pub rgb: Vec<u8>,
}

impl Image {
    /// An image of a single color.
    pub fn filled(width: usize, height: usize, color: [u8; 3]) -> Self {
        Self {
            width,
            height,
            rgb: color.repeat(width * height),
        }
    }

    /// A key for an image without an id: the 64-bit FNV-1a hash of its size and pixels.
    pub fn key(&self) -> u64 {
        let size = [self.width, self.height].map(|side| (side as u64).to_le_bytes());
        fnv1a(size.into_iter().flatten().chain(self.rgb.iter().copied()))
    }

    /// Red, green and blue at column `x`, row `y`; `None` outside the image.
    pub fn pixel(&self, x: usize, y: usize) -> Option<[u8; 3]> {
        if x >= self.width {
            return None;
        }
        let offset = (y * self.width + x) * 3;
        self.rgb.get(offset..offset + 3)?.try_into().ok()
    }
}

/// One annotated object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Object {
    /// Index into [`LabelSpace::classes`].
    pub class: usize,
    /// Corners `[x0, y0, x1, y1]`: left, top, right, bottom in pixels of the image, clipped to it, not rounded; `x0 < x1`,
    /// `y0 < y1`. [`AnnotatedObject::bbox`] has a width and a height instead.
    pub bbox: [f32; 4],
    /// Indices into [`LabelSpace::attributes`], possibly none.
    pub attributes: Vec<usize>,
    /// COCO's `iscrowd`: a region of many objects. Never a training target; ignored by AP.
    pub crowd: bool,
    /// Area in square pixels: the segmentation's if annotated, otherwise the box's.
    pub area: f32,
}

/// An object as it is annotated, for scoring and packing: its box may extend beyond the image, or be outside of it or
/// without area. [`Object`] is the same object as a training target.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotatedObject {
    /// As [`Object::class`].
    pub class: usize,
    /// Corner and size `[x, y, w, h]`: left, top, width, height in pixels of the image; finite, width and height not negative.
    /// [`Object::bbox`] has the right and the bottom side instead.
    pub bbox: [f64; 4],
    /// As [`Object::attributes`].
    pub attributes: Vec<usize>,
    /// As [`Object::crowd`].
    pub crowd: bool,
    /// Area in square pixels: the segmentation's if annotated, otherwise the box's.
    pub area: f64,
}

impl From<&Object> for AnnotatedObject {
    fn from(object: &Object) -> Self {
        let [x0, y0, x1, y1] = object.bbox.map(f64::from);
        Self {
            class: object.class,
            bbox: [x0, y0, x1 - x0, y1 - y0],
            attributes: object.attributes.clone(),
            crowd: object.crowd,
            area: f64::from(object.area),
        }
    }
}

/// Names of the classes and attributes in [`Object`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LabelSpace {
    /// Name of the label set, such as `coco`.
    pub name: String,
    /// Class names, indexed by [`Object::class`].
    pub classes: Vec<String>,
    /// Attribute names, indexed by [`Object::attributes`]; empty without attribute annotations.
    pub attributes: Vec<String>,
    /// The data set's own id of each class, as used in result files; empty if it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<u64>,
}

impl LabelSpace {
    /// Whether two label spaces have equal classes and attributes; the names of the label sets and the ids may differ.
    pub fn same_names(&self, other: &Self) -> bool {
        self.classes == other.classes && self.attributes == other.attributes
    }

    /// The id of a class in result files: the data set's own, otherwise the class index plus 1.
    pub fn id(&self, class: usize) -> u64 {
        self.ids.get(class).copied().unwrap_or(class as u64 + 1)
    }
}

/// An image with its annotations.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The image id; equal for all samples of one image.
    pub key: u64,
    /// File name or another short name, for messages.
    pub name: String,
    /// The image at its full size; the left one of a pair.
    pub image: Image,
    /// The right image of a task with image pairs (NLVR2).
    pub second_image: Option<Image>,
    /// Captions, at least one, none empty. A downstream task has one text: the question, statement or hypothesis.
    pub captions: Vec<String>,
    /// Objects; `None` without box annotations, empty if the image has no objects.
    pub objects: Option<Vec<Object>>,
    /// The target of a downstream task; `None` in pre-training data and in test sets without public labels.
    pub label: Option<Label>,
    /// The sample's id for official evaluation; `None` in pre-training data.
    pub record: Option<Record>,
}

/// A sample's image files, for packing them without decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedImage {
    /// Bytes of the file, in any format that [`decode_image`](crate::decode_image) reads.
    pub image: Vec<u8>,
    /// Bytes of the right image's file, for image pairs.
    pub second_image: Option<Vec<u8>>,
    /// Annotated width and height, whose pixels the boxes refer to.
    pub annotated_size: Option<(usize, usize)>,
    /// VQA's `multiple_choice_answer`, for samples with answers.
    pub consensus: Option<String>,
}
