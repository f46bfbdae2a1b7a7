//! Samples as a [`FileSource`](super::FileSource) stores them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AnnotatedObject, AnswerType, Entailment};

/// One sample.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) image: u32,
    pub(crate) second_image: Option<u32>,
    /// Whether the image has box annotations, possibly none.
    pub(crate) has_boxes: bool,
    pub(crate) label: StoredLabel,
    pub(crate) record: Option<RecordId>,
    pub(crate) question_type: Option<u32>,
    pub(crate) answer_type: Option<AnswerType>,
}

impl Row {
    pub(crate) fn new(image: u32) -> Self {
        Self {
            image,
            second_image: None,
            has_boxes: false,
            label: StoredLabel::None,
            record: None,
            question_type: None,
            answer_type: None,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum RecordId {
    Number(u64),
    /// Index into the texts.
    Text(u32),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum StoredLabel {
    None,
    Truth(bool),
    Entailment(Entailment),
    /// `answers[start..start + len]`, and the consensus answer.
    Answers {
        start: u32,
        len: u16,
        consensus: u32,
    },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct StoredObject {
    pub(crate) class: u32,
    /// As annotated: left, top, width, height.
    pub(crate) bbox: [f64; 4],
    pub(crate) area: f64,
    /// `attributes[start..start + len]`.
    pub(crate) start: u32,
    pub(crate) len: u16,
    pub(crate) crowd: bool,
    /// Whether the box has an area inside the image.
    is_target: bool,
}

impl StoredObject {
    /// Stores an object, with its attributes appended to `attributes`.
    pub(crate) fn new(
        object: &AnnotatedObject,
        is_target: bool,
        attributes: &mut Vec<u16>,
    ) -> Self {
        let start = attributes.len() as u32;
        attributes.extend(object.attributes.iter().map(|&a| a as u16));
        Self {
            class: object.class as u32,
            bbox: object.bbox,
            area: object.area,
            start,
            len: object.attributes.len() as u16,
            crowd: object.crowd,
            is_target,
        }
    }

    /// Whether the box has an area inside the image.
    pub(crate) fn is_target(&self) -> bool {
        self.is_target
    }
}

/// COCO's ids of the images.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum CocoIds {
    Unknown,
    /// The ids are the keys.
    Keys,
    /// Ids by key, in an order that does not change from run to run.
    ByKey(BTreeMap<u64, u64>),
}
