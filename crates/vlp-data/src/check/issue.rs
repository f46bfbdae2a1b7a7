use std::fmt;

use serde::{Deserialize, Serialize};

use crate::SkippedRecord;

/// One problem of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// The kind of problem.
    pub kind: IssueKind,
    /// Name of the source.
    pub source: String,
    /// The annotation file or image file; empty if unknown.
    pub file: String,
    /// The record: image id, annotation id or sample index.
    pub record: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Issue {
    pub(super) fn new(kind: IssueKind, record: SkippedRecord) -> Self {
        Self {
            kind,
            source: record.source,
            file: record.file,
            record: record.record,
            reason: record.reason,
        }
    }
}

impl fmt::Display for Issue {
    /// `FILE: RECORD: REASON`, with the name of the source if there is no file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.file.is_empty() {
            &self.source
        } else {
            &self.file
        };
        write!(f, "{file}: {}: {}", self.record, self.reason)
    }
}

/// Kinds of issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IssueKind {
    /// A record that the reader skipped, see [`ReadReport`](crate::ReadReport).
    Record,
    /// An image that is missing, damaged or of an unknown format, or a sample that is unreadable for another reason.
    Unreadable,
    /// An image outside the limits.
    Limit,
    /// An image whose size differs from its annotation or header.
    Size,
    /// No caption, or one that has no word or is longer than 10,000 bytes.
    Caption,
    /// A box that is not finite, has no area, or extends more than a pixel beyond its image.
    Box,
    /// A class or attribute outside the source's label space.
    Category,
    /// A label without an answer, or with an empty one.
    Label,
}

impl IssueKind {
    /// Description in the plural, for tables.
    pub fn description(self) -> &'static str {
        match self {
            Self::Record => "records skipped by the reader",
            Self::Unreadable => "unreadable images or samples",
            Self::Limit => "images outside the limits",
            Self::Size => "images whose size differs from the annotation",
            Self::Caption => "missing, empty or too long captions",
            Self::Box => "boxes without area or outside the image",
            Self::Category => "unknown classes or attributes",
            Self::Label => "labels without an answer",
        }
    }
}
