//! The JSON record of a sample in a shard.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{AnnotatedObject, AnswerType, DataError, EncodedImage, Label, LabelSpace, Sample};

#[derive(Serialize)]
struct RecordJson<'a> {
    image: &'a str,
    image_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    coco_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<usize>,
    captions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    boxes: Option<Vec<BoxJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consensus: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    question_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_type: Option<AnswerType>,
}

#[derive(Serialize)]
struct BoxJson<'a> {
    /// x, y, width, height.
    bbox: [f64; 4],
    label: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<&'a str>,
    area: f64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    crowd: bool,
}

/// The record of a sample, from which the reader restores an equal sample.
///
/// # Errors
/// [`DataError::Format`] if it has no caption, or an object whose class or attributes are not in `labels`.
pub(super) fn record_json(
    sample: &Sample,
    objects: Option<&[AnnotatedObject]>,
    encoded: Option<&EncodedImage>,
    coco_id: Option<u64>,
    labels: &LabelSpace,
) -> Result<Vec<u8>, DataError> {
    let invalid = |reason: String| DataError::Format {
        path: sample.name.clone().into(),
        reason,
    };
    if sample.captions.is_empty() {
        return Err(invalid("it has no caption".into()));
    }
    let boxes = objects.map(|objects| {
        let boxes = objects.iter().map(|object| box_json(object, labels));
        boxes.collect::<Result<_, _>>().map_err(invalid)
    });
    let (mut label, mut answers, mut consensus) = (None, None, None);
    match &sample.label {
        None => {}
        Some(Label::Truth(truth)) => label = Some(json!(truth)),
        Some(Label::Entailment(entailment)) => label = Some(json!(entailment.name())),
        Some(Label::Answers(list)) => {
            answers = Some(list.as_slice());
            let stored = encoded.and_then(|encoded| encoded.consensus.as_deref());
            // The reader counts a single answer without a consensus ten times.
            let single = (list.len() == 1).then(|| list[0].as_str());
            consensus = stored.or(single);
        }
    }
    let annotated = encoded.and_then(|encoded| encoded.annotated_size);
    let record = RecordJson {
        image: &sample.name,
        image_id: sample.key,
        coco_id,
        width: annotated.map(|(width, _)| width),
        height: annotated.map(|(_, height)| height),
        captions: &sample.captions,
        boxes: boxes.transpose()?,
        label,
        answers,
        consensus,
        id: sample.record.as_ref().map(|record| record.id.as_str()),
        question_type: (sample.record.as_ref()).and_then(|record| record.question_type.as_deref()),
        answer_type: sample.record.as_ref().and_then(|record| record.answer_type),
    };
    serde_json::to_vec(&record).map_err(|error| invalid(error.to_string()))
}

fn box_json<'a>(object: &AnnotatedObject, labels: &'a LabelSpace) -> Result<BoxJson<'a>, String> {
    let name = |names: &'a [String], index: usize, what: &str| {
        let name = names.get(index).map(String::as_str);
        name.ok_or_else(|| format!("it has an object with {what} {index} of {}", names.len()))
    };
    Ok(BoxJson {
        bbox: object.bbox,
        label: name(&labels.classes, object.class, "class")?,
        attributes: (object.attributes.iter())
            .map(|&index| name(&labels.attributes, index, "attribute"))
            .collect::<Result<_, _>>()?,
        area: object.area,
        crowd: object.crowd,
    })
}
