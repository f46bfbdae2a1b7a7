//! Input of the samples page.

use serde::{Deserialize, Serialize};

use crate::{DrawnBox, Table};

/// Samples and statistics of a data set. Empty parts have no section on the page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplesPage {
    /// Heading and window title.
    pub title: String,
    /// Short facts as (name, value), in this order: number of samples, images, issues.
    pub summary: Vec<(String, String)>,
    /// The samples, one card each.
    pub samples: Vec<SampleCard>,
    /// Counts as bars.
    pub histograms: Vec<Histogram>,
    /// Issues found in the data, such as a row each of file, record and reason.
    pub issues: Table,
    /// Remarks, such as the number of issues that are not shown.
    pub notes: Vec<String>,
}

/// A sample: one image or two next to each other, texts, and facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleCard {
    /// Heading, such as the file name.
    pub title: String,
    /// The images, left to right.
    pub images: Vec<SampleImage>,
    /// Captions, or a question, statement or hypothesis.
    pub texts: Vec<String>,
    /// Label and further facts as (name, value), such as `answers` and `yes 9, no 1`.
    pub facts: Vec<(String, String)>,
}

/// An image with its annotated objects.
///
/// The page contains the pixels unscaled, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleImage {
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
    /// Objects; [`DrawnBox::detail`] contains the attributes.
    pub boxes: Vec<DrawnBox>,
}

/// Counts, one bar each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// What is counted.
    pub title: String,
    /// A remark below the title, such as percentiles; may be empty.
    pub hint: String,
    /// Name and count of each bar, top to bottom; the greatest count has a full bar.
    pub bars: Vec<(String, u64)>,
}
