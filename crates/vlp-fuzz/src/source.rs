//! What holds of every source, whatever files it was read from.

use vlp_data::{AnnotatedObject, Object, Sample, Source};

use crate::must::accepted;

/// Samples of a source that are looked at.
const SAMPLES: usize = 64;

/// Whether a source comes from a reader, or from an index that only seems to: its checksum is right, but no reader made it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Reader,
    Index,
}

/// Everything about a sample but its image.
#[derive(Debug, PartialEq)]
struct Annotations {
    key: u64,
    size: (usize, usize),
    captions: Vec<String>,
    label: Option<vlp_data::Label>,
    objects: Option<Vec<Object>>,
    annotated: Option<Vec<AnnotatedObject>>,
    coco_id: Option<u64>,
}

fn annotations(source: &dyn Source, index: usize) -> Option<Annotations> {
    accepted(source.prepare(index))?;
    Some(Annotations {
        key: source.key(index),
        size: source.size(index),
        captions: accepted(source.captions(index))?,
        label: accepted(source.label(index))?,
        objects: accepted(source.objects(index))?,
        annotated: accepted(source.annotated_objects(index))?,
        coco_id: source.coco_id(index),
    })
}

/// Calls everything that a source offers.
pub(crate) fn check(source: &dyn Source, origin: Origin) {
    let len = source.len();
    let starts = source.block_starts();
    let ascend = starts.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(
        ascend && starts.first().is_none_or(|start| *start == 0),
        "block starts {starts:?}"
    );
    assert!(
        starts.iter().all(|start| *start < len),
        "{starts:?} of {len}"
    );
    for index in 0..len.min(SAMPLES) {
        check_sample(source, index, origin);
    }
    assert!(source.load(len).is_err(), "a sample after the last");
    assert!(source.captions(len).is_err(), "captions after the last");
    let outside = (source.key(len), source.size(len), source.coco_id(len));
    assert_eq!(outside, (0, (0, 0), None), "a sample after the last");
}

fn check_sample(source: &dyn Source, index: usize, origin: Origin) {
    let Some(parts) = annotations(source, index) else {
        assert!(origin == Origin::Index, "annotations of {index}");
        return;
    };
    let _ = source.file_key(index);
    let files = source.encoded_image(index);
    let _ = accepted(files);
    let labels = source.labels();
    let in_range = |class: usize, attributes: &[usize]| {
        class < labels.classes.len() && attributes.iter().all(|a| *a < labels.attributes.len())
    };
    for object in parts.objects.iter().flatten() {
        assert!(in_range(object.class, &object.attributes), "{object:?}");
        check_box(object, parts.size);
    }
    for object in parts.annotated.iter().flatten() {
        assert!(in_range(object.class, &object.attributes), "{object:?}");
        if origin == Origin::Reader {
            let [_, _, width, height] = object.bbox;
            let is_finite = object.bbox.iter().all(|side| side.is_finite());
            assert!(is_finite && width >= 0.0 && height >= 0.0, "{object:?}");
            assert!(object.area.is_finite(), "{object:?}");
        }
    }
    if origin == Origin::Reader {
        let has_words = |text: &String| text.contains(char::is_alphanumeric);
        let captions = &parts.captions;
        assert!(
            !captions.is_empty() && captions.iter().all(has_words),
            "captions {captions:?}"
        );
    }
    if let Some(sample) = accepted(source.load(index)) {
        check_loaded(&sample, &parts);
        // The size in an index that no reader made may be another one.
        let size = (sample.image.width, sample.image.height);
        assert!(origin == Origin::Index || size == parts.size, "{size:?}");
    }
}

/// A target has an area inside its image.
fn check_box(object: &Object, (width, height): (usize, usize)) {
    let [x0, y0, x1, y1] = object.bbox;
    let inside = |low: f32, high: f32, side: usize| 0.0 <= low && low < high && high <= side as f32;
    assert!(
        inside(x0, x1, width) && inside(y0, y1, height),
        "{object:?} in {width}x{height}"
    );
    assert!(object.area.is_finite(), "{object:?}");
}

/// A whole sample is the sum of its parts.
fn check_loaded(sample: &Sample, parts: &Annotations) {
    for image in std::iter::once(&sample.image).chain(&sample.second_image) {
        check_image(image);
    }
    assert_eq!(
        (
            &sample.key,
            &sample.captions,
            &sample.label,
            &sample.objects
        ),
        (&parts.key, &parts.captions, &parts.label, &parts.objects)
    );
}

/// An image has three bytes for each pixel, and a pixel.
pub(crate) fn check_image(image: &vlp_data::Image) {
    let (width, height, bytes) = (image.width, image.height, image.rgb.len());
    assert!(
        width * height > 0 && bytes == width * height * 3,
        "{bytes} bytes of {width}x{height}"
    );
}

/// Fails unless two sources have equal samples.
pub(crate) fn check_equal(one: &dyn Source, other: &dyn Source) {
    assert_eq!(one.len(), other.len());
    assert!(one.labels().same_names(other.labels()));
    for index in 0..one.len().min(SAMPLES) {
        assert_eq!(
            annotations(one, index),
            annotations(other, index),
            "{index}"
        );
        let samples = [one, other].map(|source| accepted(source.load(index)));
        assert_eq!(samples[0], samples[1], "{index}");
    }
}
