//! A sample as the record that stands in a shard.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{AnswerType, DataError, Encoded, Label, LabelSpace, Object, Sample};

#[derive(Serialize)]
struct Entry<'a> {
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
    boxes: Option<Vec<Boxed<'a>>>,
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
struct Boxed<'a> {
    /// x, y, width, height; in f64, of which the sides of 32 bits come back exactly.
    bbox: [f64; 4],
    label: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<&'a str>,
    area: f64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    crowd: bool,
}

/// The record of a sample; its reader makes an equal sample of it.
///
/// # Errors
/// [`DataError::Format`] where it has no caption or an object of no class of `labels`.
pub(super) fn record(
    sample: &Sample,
    encoded: Option<&Encoded>,
    coco_id: Option<u64>,
    labels: &LabelSpace,
) -> Result<Vec<u8>, DataError> {
    let wrong = |reason: String| DataError::Format {
        path: sample.name.clone().into(),
        reason,
    };
    if sample.captions.is_empty() {
        return Err(wrong("it has no caption".into()));
    }
    let boxes = sample.objects.as_ref().map(|objects| {
        let boxed = objects.iter().map(|object| boxed(object, labels));
        boxed.collect::<Result<_, _>>().map_err(wrong)
    });
    let (mut label, mut answers, mut consensus) = (None, None, None);
    match &sample.label {
        None => {}
        Some(Label::Truth(truth)) => label = Some(json!(truth)),
        Some(Label::Entailment(entailment)) => label = Some(json!(entailment.word())),
        Some(Label::Answers(given)) => {
            answers = Some(given.as_slice());
            let stored = encoded.and_then(|encoded| encoded.consensus.as_deref());
            // A single answer without it would count as ten.
            let single = (given.len() == 1).then(|| given[0].as_str());
            consensus = stored.or(single);
        }
    }
    let annotated = encoded.and_then(|encoded| encoded.annotated);
    let entry = Entry {
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
    serde_json::to_vec(&entry).map_err(|error| wrong(error.to_string()))
}

fn boxed<'a>(object: &Object, labels: &'a LabelSpace) -> Result<Boxed<'a>, String> {
    let name = |names: &'a [String], number: usize, what: &str| {
        let name = names.get(number).map(String::as_str);
        name.ok_or_else(|| {
            format!(
                "it has an object of the {what} {number}, of {}",
                names.len()
            )
        })
    };
    let [x0, y0, x1, y1] = object.bbox.map(f64::from);
    Ok(Boxed {
        bbox: [x0, y0, x1 - x0, y1 - y0],
        label: name(&labels.classes, object.class, "class")?,
        attributes: (object.attributes.iter())
            .map(|&number| name(&labels.attributes, number, "attribute"))
            .collect::<Result<_, _>>()?,
        area: f64::from(object.area),
        crowd: object.crowd,
    })
}
