//! The page of a data set: samples as they are, counts, faults.

mod card;

use serde::{Deserialize, Serialize};

use crate::bars::bar;
use crate::html::Esc;
use crate::{DrawError, DrawnBox, Table, shell};

/// Samples of a data set and what was counted in it. An empty part leaves its section out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplesPage {
    /// Heading and window title.
    pub title: String,
    /// Short facts in the order shown, as (name, value): number of samples, images, faults.
    pub summary: Vec<(String, String)>,
    /// One card each.
    pub samples: Vec<SampleCard>,
    /// Counts as bars.
    pub histograms: Vec<Histogram>,
    /// What is wrong, such as a row each of file, record and reason.
    pub faults: Table,
    /// Remarks, such as how many faults are not shown.
    pub notes: Vec<String>,
}

/// A sample: one picture or two side by side, texts, and what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleCard {
    /// Heading, such as the file's name.
    pub title: String,
    /// The pictures, left to right.
    pub pictures: Vec<SamplePicture>,
    /// Captions, or a question, statement or hypothesis.
    pub texts: Vec<String>,
    /// Label and further facts as (name, value), such as `answers` and `yes 9, no 1`.
    pub facts: Vec<(String, String)>,
}

/// A picture with its annotated objects.
///
/// The pixels go into the page as they are, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplePicture {
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
    /// Objects; [`DrawnBox::detail`] holds the attributes.
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
    /// Name and count of each bar, top to bottom; the longest bar is the greatest count.
    pub bars: Vec<(String, u64)>,
}

/// The page of a data set as one self-contained HTML file, as [`render`](crate::render) makes them: no script, nothing
/// fetched, the same input gives the same bytes.
///
/// # Errors
/// [`DrawError::Picture`] for pixels or boxes that cannot be drawn, with the number of the sample;
/// [`DrawError::Row`] for a row of the faults that does not fit the columns.
///
/// ```
/// use vlp_draw::{SampleCard, SamplePicture, SamplesPage, render_samples};
///
/// let sample = SampleCard {
///     title: "cat.jpg".into(),
///     pictures: vec![SamplePicture { width: 2, height: 2, rgb: vec![90; 12], boxes: vec![] }],
///     texts: vec!["a cat".into()],
///     facts: vec![],
/// };
/// let page = render_samples(&SamplesPage { samples: vec![sample], ..SamplesPage::default() })?;
/// assert!(page.contains("a cat"));
/// # Ok::<(), vlp_draw::DrawError>(())
/// ```
pub fn render_samples(page: &SamplesPage) -> Result<String, DrawError> {
    let mut out = shell::open(&page.title, include_str!("samples.css"));
    shell::summary(&mut out, &page.summary);
    shell::table(&mut out, "Faults", &page.faults)?;
    if !page.samples.is_empty() {
        out.push_str("<section><h2>Samples</h2><div class=\"cards samples\">");
        for (index, sample) in page.samples.iter().enumerate() {
            card::card(&mut out, index, sample).map_err(|problem| DrawError::Picture {
                index,
                title: sample.title.clone(),
                problem,
            })?;
        }
        out.push_str("</div></section>\n");
    }
    if !page.histograms.is_empty() {
        out.push_str("<section><h2>Counts</h2><div class=\"cards\">");
        for histogram in &page.histograms {
            bars(&mut out, histogram);
        }
        out.push_str("</div></section>\n");
    }
    shell::notes(&mut out, &page.notes);
    out.push_str(shell::CLOSE);
    Ok(out)
}

fn bars(out: &mut String, histogram: &Histogram) {
    out.push_str(&format!(
        "<article class=\"card histogram\"><h3 class=\"name\">{}</h3>",
        Esc(&histogram.title)
    ));
    if !histogram.hint.is_empty() {
        out.push_str(&format!("<p class=\"hint\">{}</p>", Esc(&histogram.hint)));
    }
    let most = histogram.bars.iter().map(|(_, count)| *count).max();
    for (name, count) in &histogram.bars {
        let share = *count as f64 / most.unwrap_or_default() as f64;
        bar(out, "", name, share, &count.to_string());
    }
    out.push_str("</article>");
}
